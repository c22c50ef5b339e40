"""Run the Hugging Face decoder layers, unmodified, and keep what a clean run computes.

    clean_run       one forward with nothing cut; the sweep starts from its keys, values and inputs
    masked_run      one forward per variant under explicit masks: the reference

A knockout is always compared with a base that ran through the same kernel. The reference hands sdpa an explicit boolean mask in
every layer, for base and cut alike. Without a mask, sdpa would switch to its causal kernel; under eager attention, a boolean
mask would silently be added to the scores instead of hiding keys. The sweep recomputes base and cut rows together through
`row_attention.Rows`.
"""

from dataclasses import dataclass

import torch

from ..errors import InputError
from ..models import Sequence
from .clean_attention import CleanAttention
from .row_attention import KERNEL, ValueZero, install
from .segments import rows_of

KEPT = ("keys", "values")


def causal_mask(length: int, device="cpu") -> torch.Tensor:
    """(length, length) bool: True if the row may attend to the column."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def rotary(model, positions: torch.Tensor, like: torch.Tensor):
    """cos and sin (n, S, head_dim) for position ids (3, n, S)."""
    return model.decoder.rotary_emb(like, positions.to(like.device))


class _Recorder:
    """Takes a cache's place: keeps each layer's keys (after rotary embedding) and values, and returns them unchanged."""

    def __init__(self, home):
        self.keys, self.values, self.home = [], [], home

    def update(self, keys, values, layer, *_, **__):
        self.keys.append(keys[0].transpose(0, 1).to(self.home))
        self.values.append(values[0].transpose(0, 1).to(self.home))
        return keys, values


@dataclass(frozen=True)
class CleanRun:
    """One run with nothing cut.

    keys, values: of every layer, L x (S, kv heads, head_dim). inputs: of every layer, for the rows from `first` on,
    L x (S - first, D). These three lie on the `home` of `clean_run`, and all else on the model's `device`. final
    (S - first, D): the states after the last layer. cos, sin (1, S, head_dim). deepstack (levels, S, D): see `Sequence`. removed
    (edges, L), or (edges, L, heads): see `CleanAttention`. other: the run whose keys and values patches take.
    """

    inputs: list
    keys: list
    values: list
    first: int
    final: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    deepstack: torch.Tensor
    removed: torch.Tensor | None = None
    other: "CleanRun | None" = None

    @property
    def device(self):
        return self.cos.device

    def differs(self, tokens: torch.Tensor) -> bool:
        """Whether any of these tokens (n,) has other keys or values in the other run than in this one, in any layer."""
        at, found = tokens.to(self.keys[0].device), []
        for name in KEPT:
            for mine, theirs in zip(getattr(self, name), getattr(self.other, name)):
                found.append((mine[at] != theirs[at]).any())
        return bool(torch.stack(found).any())

    def keys_and_values(self, layer: int):
        """A layer's keys and values on the model's device; those of the other run, if there is one, stand behind its own."""
        runs = [self, *([self.other] if self.other else [])]
        found = ([getattr(run, name)[layer].to(self.device, non_blocking=True) for run in runs] for name in KEPT)
        return tuple(some[0] if len(some) == 1 else torch.cat(some) for some in found)

    def states(self, layer: int, first: int) -> torch.Tensor:
        """A layer's input, rows from `first` on (R, D), on the model's device. Raises IndexError for rows that were not kept."""
        if first < self.first:
            raise IndexError(f"row {first} was not kept; the run kept rows from {self.first} on")
        return self.inputs[layer][first - self.first :].to(self.device, non_blocking=True)


def ready(model) -> None:
    """Make a decoder that was loaded with sdpa attend through `row_attention.forward`. Raises InputError for other kernels."""
    kernel = model.decoder.config._attn_implementation
    if kernel == "sdpa":
        install(model.decoder)
    elif kernel != KERNEL:
        raise InputError(f"{model.folder}: attention kernel {kernel!r}; boolean masks need attn_implementation='sdpa'")


@torch.inference_mode()
def clean_run(model, sequence, first: int = 0, home=None, edges=(), by_head: bool = False) -> CleanRun:
    """Run a Sequence, or a Pack, once with nothing cut, and keep what interventions on the rows from `first` on start from.

    home: the device that keeps it, by default the model's. "cpu" saves GPU memory. edges: measure what share of the attention
    each of these `Edges` would remove. by_head: measure it for each head.
    """
    ready(model)
    x = sequence.embeds[None]  # (1, S, D)
    home = torch.device(home or x.device)
    cos, sin = rotary(model, sequence.positions[:, None], x)
    recorder, inputs = _Recorder(home), []
    parts = getattr(sequence, "parts", ())
    attention = CleanAttention(list(edges), x.device, x.shape[1], parts, by_head) if edges or parts else None
    for number, layer in enumerate(model.decoder.layers):
        inputs.append(x[0, first:].to(home))
        x = layer(x, attention_mask=attention, position_embeddings=(cos, sin), past_key_values=recorder)
        x = entered(x, sequence.deepstack, number)
    removed = attention.shares() if edges else None
    return CleanRun(inputs, recorder.keys, recorder.values, first, x[0, first:], cos, sin, sequence.deepstack, removed)


@torch.inference_mode()
def masked_run(model, sequence: Sequence, masks) -> torch.Tensor:
    """Run a sequence once per variant, with a mask for every layer: `answer_logits` of each.

    masks: a function from the layer's number to (n, S, S) or (n, heads, S, S) bool, or to a `ValueZero`.
    """
    ready(model)
    x = sequence.embeds[None]  # (1, S, D)
    rotated = rotary(model, sequence.positions[:, None], x)
    for number, layer in enumerate(model.decoder.layers):
        mask = masks(number)
        if not isinstance(mask, ValueZero) and mask.dim() == 3:
            mask = mask[:, None]
        x = x.expand(len(mask.kept if isinstance(mask, ValueZero) else mask), -1, -1)
        x = entered(layer(x, attention_mask=mask, position_embeddings=rotated), sequence.deepstack, number)
    return answer_logits(model, sequence, x)


def answer_logits(model, sequence: Sequence, states: torch.Tensor) -> torch.Tensor:
    """Logits fp32 at the rows that predict a sequence's answer, from states (n, rows, D) that end with its last row.

    (n, V) at the last row; for a reply of R tokens (n, R, V), at the last R rows.
    """
    count = len(sequence.reply_ids)
    return last_logits(model, states[:, -count:] if count else states[:, -1])


def last_logits(model, states: torch.Tensor) -> torch.Tensor:
    """Final norm and head: states (.., D) -> logits (.., V) fp32."""
    return model.head(model.decoder.norm(states)).float()


def last_layer(layer, x, read: torch.Tensor, attention, rotated) -> torch.Tensor:
    """The output of the last layer at the rows `read` (..), out of its input x (1, N, D): (.., D).

    All rows hold each other's keys. But only the rows that are read go on through the MLP, which is most of a layer, and if the
    attention is `partial`, only they attend. attention, rotated: as the layer takes them.
    """
    if attention.how.partial:
        found = _Asked(attention).of(layer.self_attn, layer.input_layernorm(x), rotated)  # (1, rows that are read, heads, d)
        attended = layer.self_attn.o_proj(found.flatten(2)).view(*read.shape, -1)
    else:
        attended = layer.self_attn(layer.input_layernorm(x), attention_mask=attention, position_embeddings=rotated)[0][0, read]
    x = x[0, read] + attended
    return x + layer.mlp(layer.post_attention_layernorm(x))


def entered(x, deepstack: torch.Tensor, number: int, at=None) -> torch.Tensor:
    """States x (.., R, D) after a layer, with what DeepStack adds to them there: deepstack (levels, S, D), zero for text.

    at: the rows of the sequence that x holds, as in `Packed.rows`; None for all.
    """
    return x + rows_of(deepstack[number], at) if number < len(deepstack) else x


class _Asked(Exception):
    """Handed to a layer in place of a mask: it keeps the queries, or what an attention gives, and ends the layer there."""

    def __init__(self, attention=None):
        self.attention = attention

    def attend(self, q, k, v, scale: float):
        self.found = self.attention.attend(q, k, v, scale) if self.attention else q
        raise self

    def of(self, layer, x, rotated):
        """The queries (1, heads, R, d) of a layer, or of its attention module, for its input x; or what the attention gives."""
        try:
            layer(x, attention_mask=self, position_embeddings=rotated)
        except _Asked:
            self.__traceback__ = None  # it holds this frame, which would keep all tensors of the layer in memory
        return self.found


def queries(layer, x, cos, sin) -> torch.Tensor:
    """Queries of a layer for its input x (R, D), after rotary embedding: (R, heads, head_dim). cos, sin (R, head_dim).

    The layer makes them itself, so they have its norms, biases and form of rotary embedding. The decoder must be `ready`.
    """
    return _Asked().of(layer, x[None], (cos[None], sin[None]))[0].transpose(0, 1)


@torch.inference_mode()
def last_row_attention(model, number: int, state, keys, cos, sin) -> torch.Tensor:
    """Attention weights of the last row in a layer: (heads, rows) fp32. No square matrix is computed.

    state (1, D): the row's input. keys (1, kv heads, rows, head_dim), after rotary embedding. cos, sin (1, rows, head_dim).
    """
    layer = model.decoder.layers[number]
    q = queries(layer, state, cos[0, -1:], sin[0, -1:])[0]  # (heads, d)
    k = keys[0].repeat_interleave(len(q) // keys.shape[1], 0)  # (heads, rows, d)
    scores = (k @ q[..., None])[..., 0].to(torch.promote_types(q.dtype, torch.float32)) * layer.self_attn.scaling
    return scores.softmax(-1)
