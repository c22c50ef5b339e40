"""Running the Hugging Face decoder layers, unmodified, under explicit boolean masks, and keeping what a clean run computes.

Every run here, clean or cut, hands sdpa a boolean mask, so that base and knockout always go through one attention kernel: a
missing mask would switch to the causal kernel, and a mask under eager attention would silently be added instead of applied.
"""

from dataclasses import dataclass

import torch

from .errors import InputError
from .sequence import Sequence


def causal_mask(length: int, device="cpu") -> torch.Tensor:
    """(length, length) bool, True where the row may attend to the column."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def rotary(model, positions: torch.Tensor, like: torch.Tensor):
    """cos and sin (1, S, head_dim) of (3, S) position ids."""
    return model.decoder.rotary_emb(like, positions[:, None].to(like.device))


class _Recorder:
    """Stands in for a cache: keeps each layer's keys (after rotary embedding) and values and returns them unchanged."""

    def __init__(self):
        self.keys, self.values = [], []

    def update(self, keys, values, layer, *_, **__):
        self.keys.append(keys[0])
        self.values.append(values[0])
        return keys, values


@dataclass(frozen=True)
class CleanRun:
    """One run with nothing cut: inputs of every layer L x (S, D), keys and values L x (kv heads, S, head_dim), final (S, D)."""

    inputs: list
    keys: list
    values: list
    final: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor


def check_kernel(model) -> None:
    """Raise InputError unless the decoder runs sdpa, the only kernel under which a boolean mask means what it says."""
    kernel = model.decoder.config._attn_implementation
    if kernel != "sdpa":
        raise InputError(f"{model.folder}: attention kernel {kernel!r}; boolean masks need attn_implementation='sdpa'")


@torch.inference_mode()
def clean_run(model, sequence: Sequence) -> CleanRun:
    """Run a sequence once with nothing cut and keep everything that an intervention can start from."""
    check_kernel(model)
    x = sequence.embeds[None]  # (1, S, D)
    cos, sin = rotary(model, sequence.positions, x)
    mask = causal_mask(len(sequence), x.device)[None, None]
    recorder, inputs = _Recorder(), []
    for layer in model.decoder.layers:
        inputs.append(x[0])
        x = layer(x, attention_mask=mask, position_embeddings=(cos, sin), past_key_values=recorder)
    return CleanRun(inputs, recorder.keys, recorder.values, x[0], cos, sin)


class _SharedPrefix:
    """Stands in for a cache: puts the clean keys and values of the first rows before those of the recomputed ones."""

    def __init__(self, run: CleanRun, first: int):
        self.run, self.first = run, first

    def update(self, keys, values, layer, *_, **__):
        def joined(own, clean):
            return torch.cat([clean[:, : self.first].expand(len(own), -1, -1, -1), own], 2)  # (n, kv heads, S, head_dim)

        return joined(keys, self.run.keys[layer]), joined(values, self.run.values[layer])


@torch.inference_mode()
def rows_layer(model, run: CleanRun, number: int, first: int, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One layer over the rows from `first` on, in n variants: (n, R, D) -> (n, R, D).

    Rows before `first` are those of the clean run; mask (n, R, S) bool says what each row may attend to.
    """
    rotated = run.cos[:, first:], run.sin[:, first:]
    cache = _SharedPrefix(run, first)
    return model.decoder.layers[number](states, attention_mask=mask[:, None], position_embeddings=rotated, past_key_values=cache)


@torch.inference_mode()
def masked_run(model, sequence: Sequence, masks) -> torch.Tensor:
    """Run a sequence once per variant, all layers, each layer under its own mask; logits of the last token (n, V) fp32.

    masks: layer number -> (n, S, S) bool.
    """
    check_kernel(model)
    first = masks(0)
    x = sequence.embeds[None].expand(len(first), -1, -1)  # (n, S, D)
    cos, sin = rotary(model, sequence.positions, x)
    for number, layer in enumerate(model.decoder.layers):
        x = layer(x, attention_mask=masks(number)[:, None], position_embeddings=(cos, sin))
    return last_logits(model, x[:, -1])


def last_logits(model, states: torch.Tensor) -> torch.Tensor:
    """Final norm and head: (n, D) -> (n, V) in fp32."""
    return model.head(model.decoder.norm(states)).float()


def _rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


@torch.inference_mode()
def attention_rows(model, run: CleanRun, number: int, rows: torch.Tensor) -> torch.Tensor:
    """Clean attention of query positions `rows` (r,) in a layer: (heads, r, S) fp32, never the whole S x S matrix."""
    layer = model.decoder.layers[number]
    attention = layer.self_attn
    x = layer.input_layernorm(run.inputs[number][rows])
    q = attention.q_proj(x).unflatten(-1, (-1, attention.head_dim)).transpose(0, 1)  # (heads, r, head_dim)
    q = _rotate(q, run.cos[0, rows], run.sin[0, rows])
    k = run.keys[number].repeat_interleave(len(q) // len(run.keys[number]), 0)  # (heads, S, head_dim)
    scores = (q @ k.transpose(1, 2)).float() * attention.scaling
    position = torch.arange(k.shape[1], device=rows.device)
    return scores.masked_fill(position > rows[:, None], float("-inf")).softmax(-1)


@torch.inference_mode()
def cut_mass(model, run: CleanRun, edges, chunk: int = 256) -> torch.Tensor:
    """Share of the cut queries' clean attention that goes to the cut keys, by layer (L,): mean over queries and heads."""
    layers, rows = len(run.inputs), edges.queries().to(run.final.device)
    if not len(rows):
        return torch.zeros(layers)
    length, mass = run.final.shape[0], torch.zeros(layers, device=rows.device)
    for part in rows.split(chunk):
        cut = edges.cut(part.cpu(), length).to(rows.device)  # (r, S)
        for number in range(layers):
            mass[number] += (attention_rows(model, run, number, part) * cut).sum(-1).mean(0).sum()
    return (mass / len(rows)).cpu()
