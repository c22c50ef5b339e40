"""Attention of the rows that a sweep recomputes. A cut selects the keys that a row keeps; it is never a mask.

A variant is one set of recomputed rows: interventions that have been cut alike so far, or a null row.
    1. Rows that lose the same keys form a group. They attend together to the keys that they keep (`Cut`).
    2. Kept keys stay in their order, so the causal rule alone hides later keys. No mask is needed, and the fastest kernels apply.
    3. A key is own or shared. Every variant recomputes its own keys. Keys of rows before the first recomputed row come
       from the clean run, and all variants share them. If these rows are at most half of all, each variant gets a copy instead.
    4. Attention to shared keys and attention to own keys are computed separately, and then `joined`.
    5. All variants' groups go into one call, or two if some are not causal (`together`).
    6. A patched row keeps all its keys, but those of a route are another run's. They stand in the places of its own.
    7. If only some heads are cut, the variant's rows attend once more with nothing cut, and the other heads take that result.

`Rows` and `ValueZero` are handed to a Hugging Face layer in place of a mask, and so is `CleanAttention`. `install`
makes the layer understand them.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..models import light_transformers
from .kept_keys import Piece
from .segments import Call, Numbers, Packed, Segments, joined, places, rows_of

SCORES = 2**27  # attention scores per step of the value_zero reference: 512 MiB in fp32, with a few such tensors at a time
KERNEL = "avflow"  # name of the attention implementation that accepts the objects below as masks


@dataclass(frozen=True)
class Together:
    """How all stacked rows attend in one layer; made by `together`. Row numbers are as in `Packed.rows`.

    own: calls over own keys. take: where each row's result is among theirs, and one more if a row keeps no own key (`gap`).
    pooled: None if own keys are rows of the stack; else how many clean rows stand before the stack in their place. alone: rows
    that also keep their own key. shared, take_shared, gap_shared: the same over shared keys, if any. zero: the rows cut by
    value_zero, whose weights stay as if nothing were cut, and how they attend uncut; or None. heads: the rows cut in some
    heads only, the entry of each in a list of cut heads, this list, and how the rows attend uncut; or None. patched: whether the
    own keys end with those of another run, which then stand behind the clean run's.
    """

    own: list[Call]
    take: object
    gap: bool
    pooled: int | None
    alone: Numbers | None
    shared: list[Call]
    take_shared: object
    gap_shared: bool
    zero: tuple | None = None
    heads: tuple | None = None
    patched: bool = False
    partial: bool = False

    def attend(self, q, k, v, clean_k, clean_v, scale: float):
        """q (N, heads, d); k, v (N, kv heads, d); the clean run's keys and values (S, kv heads, d) -> (N, heads, d), log sums."""
        own_k, own_v = k, v
        if self.pooled is not None:
            own_k, own_v = (torch.cat([c[: self.pooled], x]) for c, x in ((clean_k, k), (clean_v, v)))
        if self.patched:
            own_k, own_v = (torch.cat([x, c[len(c) // 2 :]]) for c, x in ((clean_k, own_k), (clean_v, own_v)))
        out, log_sums = _results([call.run(q, own_k, own_v, scale) for call in self.own], self.take, self.gap)
        if self.alone is not None:
            here = self.alone.tensor
            asking, key, value = (x.index_select(0, here) for x in (q, k, v))
            key, value = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (key, value))
            score = (asking.to(log_sums.dtype) * key.to(log_sums.dtype)).sum(-1) * scale
            o, s = joined((out.index_select(0, here), log_sums.index_select(0, here)), (value, score))
            out, log_sums = out.index_copy_(0, here, o), log_sums.index_copy_(0, here, s)
        if self.shared:
            others = [call.run(q, clean_k, clean_v, scale) for call in self.shared]
            others = _results(others, self.take_shared, self.gap_shared)
            out, log_sums = joined((out, log_sums), others)
        if self.zero is not None:
            rows, uncut = self.zero
            mine = (rows_of(x, rows) for x in (q, k, v))
            total = uncut.attend(*mine, clean_k, clean_v, scale)[1]
            weight = (rows_of(log_sums, rows) - total).exp()[..., None]
            out[places(rows)] = (rows_of(out, rows) * weight).to(out.dtype)
        if self.heads is not None:
            rows, entry, listed, uncut = self.heads
            mine = (rows_of(x, rows) for x in (q, k, v))
            whole = uncut.attend(*mine, clean_k, clean_v, scale)[0]
            cut = listed.tensor.view(-1, q.shape[1]).index_select(0, entry.tensor) > 0  # (rows, heads)
            out[places(rows)] = torch.where(cut[..., None], rows_of(out, rows), whole)
        return out, log_sums


def _results(found: list, take, gap: bool):
    """The results of one or two calls in the order of the rows. gap: a row without any key has zeros and -inf."""
    if gap:
        out, log_sums = found[0]
        found = [*found, (out.new_zeros(1, *out.shape[1:]), log_sums.new_full((1, log_sums.shape[1]), -torch.inf))]
    return [rows_of(some[0] if len(some) == 1 else torch.cat(some), take) for some in zip(*found)]


def together(blocks: list, packed: Packed, read=None, ends=None) -> Together:
    """Plan how the rows of many variants attend, stacked block by block and variant by variant.

    read, ends: let only the rows `read` of each variant attend, and give the results of the stack's rows `ends`, which are such.
    The blocks must be such that `may_skip`.
    """
    number, start = sum(len(block.cuts) * (block.cuts[0].length - block.cuts[0].first) for block in blocks), 0
    own, shared, alone = {True: Segments(True), False: Segments(False)}, {}, []
    zero, partly, cut_heads = ([], []), ([], []), []  # rows and uncut blocks of what value_zero cuts, and of cuts in some heads
    take, plain = np.full(number, -1), np.zeros(number, bool)
    heads = [block.cuts[0].first for block in blocks if block.cuts[0].base < block.cuts[0].first]
    pooled = max(heads) if heads else None

    def add(offsets, piece):
        """One segment for each variant that begins at `offsets`, counted from where position 0 would be."""
        piece = piece if read is None else piece.only(read)
        if piece is None:
            return
        queries, rows = offsets[:, None] + piece.queries, offsets[:, None] + piece.rows
        keys = offsets[:, None] + piece.keys
        if pooled is not None:
            keys = np.where(piece.keys < first, piece.keys, pooled + keys)
        take[rows], plain[rows] = own[piece.causal].add(queries, keys)[:, piece.take], not piece.causal

    def patch(offset, edges):
        """A causal segment for each group of a variant's rows that get the same keys of the other run."""
        rows, every = np.arange(first, length), np.arange(length)
        for queries, keys in edges.classes:
            mine = every + offset if pooled is None else np.where(every < first, every, pooled + offset + every)
            mine[keys.numpy()] = number + (pooled or 0) + keys.numpy()
            at = offset + queries.numpy()
            take[at] = own[True].add(offset + rows[None], mine[None])[0, queries.numpy() - first]
            plain[at] = False

    for block in blocks:
        cuts = block.cuts
        first, base, length = cuts[0].first, cuts[0].base, cuts[0].length
        size, alike = length - first, {}
        for i, cut in enumerate(cuts):
            alike.setdefault(id(cut), (cut, []))[1].append(start + i * size - first)
        alike = [(cut, np.array(offsets)) for cut, offsets in alike.values()]
        uncut = [offsets for cut, offsets in alike if cut.own is None]
        if uncut:
            rows = np.arange(first, length)
            add(np.sort(np.concatenate(uncut)), Piece(rows, rows, rows - first, np.arange(base, length), True))
        for cut, offsets in alike:
            for piece in cut.own or []:
                add(offsets, piece)
            if cut.own is not None and len(cut.alone) and read is None:
                alone.append((offsets[:, None] + cut.alone).ravel())
            for rows, kept, key in cut.shared:
                rows = rows if read is None else rows[np.isin(rows, read)]
                if len(kept) and len(rows):
                    shared.setdefault(key, (kept, []))[1].append((offsets[:, None] + rows).ravel())
        for i, edges in enumerate(block.patches):
            if edges:
                patch(start + i * size - first, edges)
        for (rows, uncut_blocks), flags in ((zero, block.zeros), (partly, block.heads)):
            if chosen := [i for i, flag in enumerate(flags) if flag]:
                rows.append(block.rows(start, chosen))
                uncut_blocks.append(block.uncut(len(chosen)))
        cut_heads += [(some, size) for some in block.heads if some]
        start += len(cuts) * size
    patched = any(edges for block in blocks for edges in block.patches)
    pool = number + (pooled or 0) + (blocks[0].cuts[0].length if patched else 0)
    calls = [call for causal in (True, False) for call in own[causal].close(packed, number, pool)]
    take[plain] += own[True].total
    take = take if ends is None else take[ends]
    gap = bool((take < 0).any())
    take[take < 0] = own[True].total + own[False].total
    over_shared, take_shared = _shared(shared, number, length, packed, ends)
    return Together(
        calls,
        packed.rows(take, own[True].total + own[False].total + gap),
        gap,
        pooled,
        packed.add(np.concatenate(alone)) if alone else None,
        over_shared,
        *take_shared,
        (packed.rows(np.concatenate(zero[0]), number), together(zero[1], packed)) if zero[0] else None,
        _partly(*partly, cut_heads, number, packed) if cut_heads else None,
        patched,
        read is not None,
    )


def _partly(rows: list, uncut: list, cut_heads: list, number: int, packed: Packed) -> tuple:
    """`Together.heads`. cut_heads: [(which heads are cut, number of rows)] of the variants that stand at `rows`."""
    listed = np.array([some for some, _ in cut_heads], np.int64).ravel()
    entry = np.repeat(np.arange(len(cut_heads)), [size for _, size in cut_heads])
    return packed.rows(np.concatenate(rows), number), packed.add(entry), packed.add(listed), together(uncut, packed)


def _shared(groups: dict, number: int, length: int, packed: Packed, ends=None):
    """The calls over shared keys, and where the result of each row, or of the rows `ends`, is: (take, gap)."""
    if not groups:
        return [], (None, False)
    segments, take = Segments(False), np.full(number, -1)
    for kept, rows in groups.values():
        rows = np.sort(np.concatenate(rows))
        take[rows] = segments.add(rows[None], kept[None])[0]
    take = take if ends is None else take[ends]
    gap = bool((take < 0).any())
    take[take < 0] = segments.total
    return segments.close(packed, number, length), (packed.rows(take, segments.total + gap), gap)


@dataclass(frozen=True)
class Rows:
    """Handed to a layer in place of a mask: how the stacked rows (1, N, D) of all variants attend.

    clean_k, clean_v (S, kv heads, d): the clean run's keys and values in this layer; those of a run to patch from stand behind.
    """

    how: Together
    clean_k: torch.Tensor
    clean_v: torch.Tensor

    def attend(self, q, k, v, scale: float):
        """q (1, heads, N, d); k, v (1, kv heads, N, d) -> (1, N, heads, d); fewer rows if the attention is `partial`."""
        return self.how.attend(*(x[0].transpose(0, 1) for x in (q, k, v)), self.clean_k, self.clean_v, scale)[0][None]


@dataclass(frozen=True)
class ValueZero:
    """Handed to a layer in place of a mask: the value_zero reference, for full forwards.

    The weights are the softmax over the `visible` keys. Then only the values of the `kept` keys count, so the weights that remain
    are not renormalised. Both masks are bool and broadcast to (n, 1, S, S).
    """

    visible: torch.Tensor
    kept: torch.Tensor

    def attend(self, q, k, v, scale: float):
        """q (n, heads, S, d); k, v (n, kv heads, S, d) -> (n, S, heads, d), in steps of at most SCORES scores."""
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        out, step = [], max(1, SCORES // (q.shape[0] * q.shape[1] * k.shape[2]))
        for start in range(0, q.shape[2], step):
            rows = slice(start, start + step)
            scores = (q[:, :, rows] @ k.transpose(2, 3)).to(torch.promote_types(q.dtype, torch.float32)) * scale
            weights = scores.masked_fill(~self.visible[..., rows, :], -torch.inf).softmax(-1)
            out.append(weights.masked_fill(~self.kept[..., rows, :], 0).to(v.dtype) @ v)
        return torch.cat(out, 2).transpose(1, 2)


def forward(module, query, key, value, attention_mask, scaling=None, **kwargs):
    """The attention function that transformers calls. It is sdpa, unless the mask knows how to attend."""
    if hasattr(attention_mask, "attend"):
        return attention_mask.attend(query, key, value, scaling), None
    return light_transformers.sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)


def install(decoder) -> None:
    """Make a decoder that was loaded with sdpa attend through `forward`."""
    light_transformers.AttentionInterface.register(KERNEL, forward)
    light_transformers.AttentionMaskInterface.register(KERNEL, light_transformers.sdpa_mask)
    decoder.config._attn_implementation = KERNEL
