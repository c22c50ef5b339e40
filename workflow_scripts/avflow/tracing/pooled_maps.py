"""Attention maps, averaged over heads and pooled into bins of tokens while they are computed.

A cell is the share of attention that the queries of one bin give to the keys of another, so each row of a map sums to 1. Queries
are computed in blocks, so no square matrix for all heads is ever held. All variants, the uncut one included, go through the same
kernels under explicit boolean masks.
"""

import torch

from ..errors import InputError
from ..models import Sequence
from .decoder import causal_mask, entered, last_logits, queries, ready, rotary
from .interventions import Route
from .token_classes import CLASSES, token_classes

BLOCK = 2**26  # attention weights held at once: 256 MiB in fp32


class _Keys:
    """Takes a cache's place: holds the keys of the layer that ran last."""

    def update(self, keys, values, *_, **__):
        self.keys = keys
        return keys, values


def bins_of(length: int, bins: int) -> torch.Tensor:
    """The bin of every position (S,): at most `bins` bins of nearly equal size. The last token has a bin of its own.

    A sequence of no more than `bins` tokens has one bin per token.
    """
    before = length - 1
    return torch.cat([torch.arange(before) * min(bins - 1, before) // before, torch.tensor([min(bins - 1, before)])])


def bin_classes(sequence: Sequence, bins: int) -> list[tuple[str, int, int]]:
    """For every bin: its most frequent class, its first position, and the position after its last."""
    at, kinds, found = bins_of(len(sequence), bins), token_classes(sequence.spans), []
    for number in range(int(at[-1]) + 1):
        inside = (at == number).nonzero()[:, 0]
        found.append((CLASSES[int(kinds[inside].mode().values)], int(inside[0]), int(inside[-1]) + 1))
    return found


def pooled(layer, x, keys, cos, sin, visible, at, block: int = BLOCK) -> torch.Tensor:
    """Pooled attention of one layer and variant: (B, B) fp32. Rows sum to 1.

    x (S, D): the layer's input. keys (kv heads, S, d): after rotary embedding. cos, sin (S, d). visible (S, S) bool: the mask.
    at (S,): every position's bin. block: the number of attention weights held at once.
    """
    length, count = len(x), torch.bincount(at)
    to_bins = torch.nn.functional.one_hot(at).to(torch.float32)  # (S, B)
    found = x.new_zeros(len(count), len(count), dtype=torch.float32)
    keys = keys.repeat_interleave(layer.self_attn.num_key_value_groups, 0)  # (heads, S, d)
    rows = max(1, block // (len(keys) * length))
    for start in range(0, length, rows):
        here = slice(start, start + rows)
        q = queries(layer, x[here], cos[here], sin[here]).transpose(0, 1)  # (heads, R, d)
        scores = (q @ keys.transpose(1, 2)).float() * layer.self_attn.scaling
        weights = scores.masked_fill(~visible[here], -torch.inf).softmax(-1).mean(0)  # (R, S)
        found.index_add_(0, at[here], weights @ to_bins)
    return found / count[:, None]


def as_range(layers: int, share: list[float]) -> range:
    """The layers between two shares of the depth, the second excluded: [0, 0.5] is the first half."""
    return range(round(share[0] * layers), round(share[1] * layers))


@torch.inference_mode()
def attention_maps(model, sequence: Sequence, cuts: list, bins: int, block: int = BLOCK):
    """Maps of the uncut run and of n cuts, by layer: (1 + n, L, B, B) fp32, and the last token's logits (1 + n, V) fp32.

    cuts: (Route, range of layers) pairs. Raises InputError for layers that the model does not have.
    """
    ready(model)
    layers, length, device = model.decoder.layers, len(sequence), sequence.embeds.device
    open_mask = causal_mask(length, device)
    closed = []
    for route, covered in cuts:
        if covered.start < 0 or covered.stop > len(layers):
            raise InputError(
                f"route {route}: layers {covered.start} to {covered.stop - 1} do not exist; the model has 0 to {len(layers) - 1}"
            )
        cut = Route.parse(str(route)).edges(sequence.spans).cut(torch.arange(length), length)
        closed.append(open_mask & ~cut.to(device))
    at = bins_of(length, bins).to(device)
    x = sequence.embeds.expand(1 + len(cuts), -1, -1)  # (1 + n, S, D)
    cos, sin = rotary(model, sequence.positions[:, None], x)
    held, found = _Keys(), []
    for number, layer in enumerate(layers):
        shut = [mask if number in covered else open_mask for mask, (_, covered) in zip(closed, cuts)]
        visible, before = torch.stack([open_mask, *shut]), x
        x = layer(x, attention_mask=visible[:, None], position_embeddings=(cos, sin), past_key_values=held)
        x = entered(x, sequence.deepstack, number)
        one = [pooled(layer, b, k, cos[0], sin[0], v, at, block) for b, k, v in zip(before, held.keys, visible)]
        found.append(torch.stack(one).cpu())
    return torch.stack(found, 1), last_logits(model, x[:, -1])
