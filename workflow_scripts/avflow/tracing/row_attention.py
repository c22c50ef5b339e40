"""Attention of the rows that a sweep recomputes. A cut selects the keys that a row keeps; it is never a mask.

A variant is one set of recomputed rows: interventions that have been cut alike so far, or a null row.
    1. Rows that lose the same keys form a group. They attend together to the keys that they keep (`Cut`).
    2. Kept keys stay in their order, so the causal rule alone hides later keys. No mask is needed, and the fastest kernels apply.
    3. A key is own or shared. Every variant recomputes its own keys. Keys of rows before the first recomputed row come
       from the clean run, and all variants share them. If these rows are at most half of all, each variant gets a copy instead.
    4. Attention to shared keys and attention to own keys are computed separately. The logarithms of the normalisers combine
       them exactly (`joined`), as FlashAttention combines its blocks (arXiv 2205.14135, section 3.1).

`Rows` and `ValueZero` are handed to a Hugging Face layer in place of a mask, and so is `removed_mass.RemovedMass`. `install`
makes the layer understand them.
"""

from dataclasses import dataclass

import torch

from ..models import light_transformers

SCORES = 2**27  # attention scores per step of the value_zero reference: 512 MiB in fp32, with a few such tensors at a time
KERNEL = "avflow"  # name of the attention implementation that accepts the objects below as masks


def attend(q, k, v, scale: float, causal: bool):
    """Softmax attention and the logarithms of its normalisers ("log sums").

    q (n, Q, heads, d); k, v (n, K, kv heads, d) -> (n, Q, heads, d), and log sums (n, Q, heads). causal: the queries stand at
    the last Q of the K keys, and see no later key.
    """
    if q.is_cuda and q.dtype in (torch.bfloat16, torch.float16):
        flash = torch.ops.aten._flash_attention_forward
        out, log_sum, *_ = flash(q, k, v, None, None, q.shape[1], k.shape[1], 0.0, causal, False, scale=scale)
        return out, log_sum.transpose(1, 2)
    q, k, v = (x.transpose(1, 2) for x in (q, *(x.repeat_interleave(q.shape[2] // k.shape[2], 2) for x in (k, v))))
    hidden = None
    if causal and q.shape[2] > 1:
        hidden = torch.zeros(q.shape[2], k.shape[2], dtype=q.dtype, device=q.device)
        hidden.masked_fill_(torch.ones_like(hidden, dtype=torch.bool).triu(1 + k.shape[2] - q.shape[2]), -torch.inf)
    if not q.is_cuda:
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, log_sum = flash(q, k, v, 0.0, False, attn_mask=hidden, scale=scale)
    else:
        scores = (q @ k.transpose(2, 3)).to(torch.promote_types(q.dtype, torch.float32)) * scale
        scores = scores if hidden is None else scores + hidden
        log_sum = scores.logsumexp(-1)
        out = (scores - log_sum[..., None]).exp().to(v.dtype) @ v
    return out.transpose(1, 2), log_sum.transpose(1, 2)


def joined(one, other):
    """Combine two attentions over disjoint keys, each (out, log sums). An attention without keys is zeros and -inf."""
    log_sum = torch.logaddexp(one[1], other[1])
    out = sum(o * (s - log_sum).exp()[..., None] for o, s in (one, other))
    return out.to(one[0].dtype), log_sum


def put(tensor: torch.Tensor, device) -> torch.Tensor:
    """Copy a small tensor to the device without waiting for the device's pending work."""
    return tensor.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else tensor


def index(positions: torch.Tensor, device):
    """Sorted positions (n,) as a slice if they are consecutive, else as a tensor on the device."""
    if not len(positions):
        return slice(0, 0)
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return slice(start, stop) if stop - start == len(positions) else put(positions, device)


def pick(x, at, dim: int):
    """x at an `index` along `dim`. A slice needs no copy."""
    return x.narrow(dim, at.start, at.stop - at.start) if isinstance(at, slice) else x.index_select(dim, at)


@dataclass(frozen=True)
class Piece:
    """A group of rows that keep the same own keys, as indices (see `index`).

    rows: the group, counted from the first recomputed row. queries: the rows to compute, counted alike. For a causal piece they
    include the kept positions between the rows, because a causal kernel needs its queries to be the last keys. take: where
    `rows` are among `queries`. keys: the kept keys, counted from the first own key. causal: whether the causal rule applies to
    them. itself: each row also keeps its own key, although it loses other cut keys.
    """

    rows: object
    queries: object
    take: object
    keys: object
    causal: bool
    itself: bool


class Cut:
    """How the rows from `first` on attend if `edges` are cut. edges None cuts nothing.

    Keys of rows from `base` on are own keys, which each variant has for itself; earlier keys are shared. own: a list of
    `Piece`, or None if no own key is cut. shared: [(rows, kept)], where `rows` count from `first` and `kept` is the `index` of
    the shared keys that they keep. Together they cover all rows; the list is empty if `base` is 0.
    """

    def __init__(self, edges, first: int, length: int, device):
        # If at most half of the rows are clean, copying their keys to each variant is cheaper than a separate attention to them.
        self.first, self.base = first, 0 if 2 * first <= length else first
        self.device, self.own, self.shared = device, [], []
        rest = torch.ones(length, dtype=torch.bool)
        rest[:first] = False
        every = torch.ones(length, dtype=torch.bool)
        touched = False
        for rows, keys in edges.classes if edges else []:
            rest[rows] = False
            kept = every.clone()
            kept[keys] = False
            inside = torch.isin(rows, keys)
            touched |= bool((keys[keys <= rows[-1]] >= self.base).any())
            self._keeping(rows[~inside], kept)
            self._losing(rows[inside], kept, not edges.own)
            self._sharing(rows, kept)
        self._keeping(rest.nonzero()[:, 0], every)
        self._sharing(rest.nonzero()[:, 0], every)
        self.own = self.own if touched else None

    def _sharing(self, rows, kept):
        if len(rows) and self.base:
            self.shared.append((rows - self.first, index(kept[: self.base].nonzero()[:, 0], self.device)))

    def _keeping(self, rows, kept):
        """Add rows that keep their own key: causal attention to the kept keys."""
        if len(rows):
            keys = kept.nonzero()[:, 0]
            keys = keys[(keys <= rows[-1]) & (keys >= self.base)]
            queries = keys[keys >= rows[0]]
            self._add(rows, queries, keys, True, False)

    def _losing(self, rows, kept, itself):
        """Add rows whose own position is among the cut keys. Rows that see equally many kept keys form one piece."""
        keys = kept.nonzero()[:, 0]
        keys = keys[keys >= self.base]
        seen = torch.searchsorted(keys, rows)
        for number in seen.unique().tolist():
            here = rows[seen == number]
            self._add(here, here, keys[:number], False, itself)

    def _add(self, rows, queries, keys, causal, itself):
        at = lambda positions: index(positions, self.device)  # noqa: E731
        take = at(torch.searchsorted(queries, rows))
        self.own.append(Piece(at(rows - self.first), at(queries - self.first), take, at(keys - self.base), causal, itself))


def over_own_keys(pieces, q, k, v, scale: float):
    """Attention of n variants to their own keys: out (n, R, heads, d) and log sums (n, R, heads).

    q (n, R, heads, d); k, v (n, K, kv heads, d), where K is R, or all rows of the sequence if `Cut.base` is 0.
    """
    if pieces is None:
        return attend(q, k, v, scale, True)
    out, log_sums = torch.zeros_like(q), q.new_full(q.shape[:3], -torch.inf, dtype=torch.promote_types(q.dtype, torch.float32))
    before = k.shape[1] - q.shape[1]
    for piece in pieces:
        keys, found = pick(k, piece.keys, 1), None
        if keys.shape[1]:
            o, s = attend(pick(q, piece.queries, 1), keys, pick(v, piece.keys, 1), scale, piece.causal)
            found = pick(o, piece.take, 1), pick(s, piece.take, 1)
        if piece.itself:
            asking, own, value = (pick(x, piece.rows, 1) for x in (q, k[:, before:], v[:, before:]))
            own, value = (x.repeat_interleave(q.shape[2] // k.shape[2], 2) for x in (own, value))
            alone = value, (asking.to(log_sums.dtype) * own.to(log_sums.dtype)).sum(-1) * scale
            found = joined(found, alone) if found else alone
        if found:
            out[:, piece.rows], log_sums[:, piece.rows] = found
    return out, log_sums


@dataclass(frozen=True)
class Block:
    """n variants in one layer that all recompute the rows from `first` on.

    own: [(variants, pieces)]. shared: [(rows among all variants' rows, kept shared keys)]. In place of the variants or rows,
    None means all. zero (n,) bool: the variants cut by value_zero, whose weights stay as if nothing were cut; None if there
    are none.
    """

    first: int
    base: int
    own: list
    shared: list
    zero: torch.Tensor | None = None

    def attend(self, q, k, v, clean_k, clean_v, scale: float):
        """Attention of all variants: out (n, R, heads, d) and log sums (n, R, heads).

        q (n, R, heads, d); k, v (n, R, kv heads, d) the recomputed rows' keys and values; clean_k, clean_v (S, kv heads, d).
        """
        mine = q, k, v
        if self.base < self.first:
            k, v = (torch.cat([c[: self.first].expand(len(k), -1, -1, -1), o], 1) for c, o in ((clean_k, k), (clean_v, v)))
        found = self._together(
            self.own,
            q,
            lambda here, pieces: over_own_keys(pieces, *(x if here is None else x[here] for x in (q, k, v)), scale),
        )
        if self.base:

            def to_shared(here, kept):
                asking = q.flatten(0, 1) if here is None else q.flatten(0, 1)[here]
                keys, values = pick(clean_k[: self.base], kept, 0), pick(clean_v[: self.base], kept, 0)
                if not len(keys):
                    return torch.zeros_like(asking), found[1].new_full(asking.shape[:2], -torch.inf)
                o, s = attend(asking[None], keys[None], values[None], scale, False)
                return o[0], s[0]

            o, s = self._together(self.shared, q.flatten(0, 1), to_shared)
            found = joined(found, (o.view(q.shape), s.reshape(q.shape[:3])))
        if self.zero is not None:
            uncut = Block(self.first, self.base, [(None, None)], [(None, slice(0, self.base))])
            total = uncut.attend(*mine, clean_k, clean_v, scale)[1]
            weight = torch.where(self.zero[:, None, None], (found[1] - total).exp(), 1)
            found = (found[0] * weight[..., None]).to(q.dtype), found[1]
        return found

    @staticmethod
    def _together(groups, like, work):
        """Run `work` on every group and place its results along the first dimension of `like`."""
        if len(groups) == 1 and groups[0][0] is None:
            return work(*groups[0])
        out, log_sums = torch.empty_like(like), None
        for here, how in groups:
            o, s = work(here, how)
            log_sums = s.new_empty(like.shape[:-1]) if log_sums is None else log_sums
            out[here], log_sums[here] = o, s
        return out, log_sums


def arrange(cuts: list, length: int, device, zero=None) -> Block:
    """The `Block` of several variants. cuts: each variant's `Cut`. zero: for each variant, whether value_zero cuts it."""
    alike = {}
    for number, cut in enumerate(cuts):
        alike.setdefault(id(cut), (cut, []))[1].append(number)
    own, shared, first, base = {}, {}, cuts[0].first, cuts[0].base
    for cut, members in alike.values():
        numbers = torch.tensor(members)
        own.setdefault(None if cut.own is None else id(cut), (cut.own, []))[1].append(numbers)
        for rows, kept in cut.shared:
            key = (kept.start, kept.stop) if isinstance(kept, slice) else id(kept)
            shared.setdefault(key, (kept, []))[1].append((numbers[:, None] * (length - first) + rows).flatten())

    def which(numbers, of):
        numbers = torch.cat(numbers)
        return None if len(numbers) == of else put(numbers, device)

    return Block(
        first,
        base,
        [(which(numbers, len(cuts)), pieces) for pieces, numbers in own.values()],
        [(which(rows, len(cuts) * (length - first)), kept) for kept, rows in shared.values()],
        put(torch.tensor(zero), device) if zero and any(zero) else None,
    )


@dataclass(frozen=True)
class Rows:
    """Handed to a layer in place of a mask: how the stacked rows (1, N, D) of all blocks attend.

    clean_k, clean_v (S, kv heads, d): the clean run's keys and values in this layer.
    """

    clean_k: torch.Tensor
    clean_v: torch.Tensor
    blocks: list  # [(Block, number of variants)], in the order of the stacked rows

    def attend(self, q, k, v, scale: float):
        """q (1, heads, N, d); k, v (1, kv heads, N, d) -> (1, N, heads, d)."""
        length, start, out = len(self.clean_k), 0, []
        for block, variants in self.blocks:
            stop = start + variants * (length - block.first)
            mine = (x[0, :, start:stop].transpose(0, 1).unflatten(0, (variants, -1)) for x in (q, k, v))
            out.append(block.attend(*mine, self.clean_k, self.clean_v, scale)[0].flatten(0, 1))
            start = stop
        return (torch.cat(out) if len(out) > 1 else out[0])[None]


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
