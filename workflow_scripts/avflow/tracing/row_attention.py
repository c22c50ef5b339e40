"""Attention of recomputed rows: a cut is a choice of the keys that are kept, never a mask.

Rows that lose the same keys attend together to the keys that they keep, collected from the clean run and from their own
variant. Collected in order, kept keys need nothing but the causal rule, so the fastest kernels apply, and keys of rows before
the first recomputed one are shared by all variants: attention to them and to a variant's own keys is computed apart and joined
by the logarithms of both normalisers, as in FlashAttention's own blocks (arXiv 2205.14135, section 3.1).
"""

import sys
from dataclasses import dataclass

# transformers takes scikit-learn for speculative decoding alone, which is not used here; importing it is a second of every job.
sys.modules.setdefault("sklearn", None)

import torch  # noqa: E402
from transformers import AttentionInterface, AttentionMaskInterface  # noqa: E402
from transformers.integrations.sdpa_attention import sdpa_attention_forward  # noqa: E402
from transformers.masking_utils import sdpa_mask  # noqa: E402

SCORES = 2**27  # that the reference of value_zero holds at once: half a gigabyte in fp32, a few of which exist at a time
KERNEL = "avflow"  # the attention implementation under which a decoder understands the objects below as masks


def attend(q, k, v, scale: float, causal: bool):
    """Softmax attention with its normaliser: (n, Q, heads, d) on (n, K, kv heads, d) -> (n, Q, heads, d), (n, Q, heads) log sums.

    causal: the queries are the last Q of the K keys, and see no later key.
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
    """One attention from two over disjoint keys: (out, log sums) of each -> out, log sums. No key: zeros and -inf."""
    log_sum = torch.logaddexp(one[1], other[1])
    out = sum(o * (s - log_sum).exp()[..., None] for o, s in (one, other))
    return out.to(one[0].dtype), log_sum


def put(tensor: torch.Tensor, device) -> torch.Tensor:
    """A small tensor on the device, without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else tensor


def index(positions: torch.Tensor, device):
    """Sorted positions as a slice if they follow on each other, else as a tensor on the device."""
    if not len(positions):
        return slice(0, 0)
    start, stop = int(positions[0]), int(positions[-1]) + 1
    return slice(start, stop) if stop - start == len(positions) else put(positions, device)


def pick(x, at, dim: int):
    """x at an `index`, without a copy where that is a slice."""
    return x.narrow(dim, at.start, at.stop - at.start) if isinstance(at, slice) else x.index_select(dim, at)


@dataclass(frozen=True)
class Piece:
    """Rows that keep the same own keys. `rows` and `queries` count from the first recomputed row, `keys` from the first own key.

    `queries` are the rows and what lies between them among the kept keys, `take` where the rows are among them. `itself`: each
    row keeps its own key besides, while it loses the others of its kind.
    """

    rows: object
    queries: object
    take: object
    keys: object
    causal: bool
    itself: bool


class Cut:
    """How the rows from `first` on attend when `edges` are cut, or nothing (None).

    Own keys are those that every variant has for itself: of rows from `base` on. `own`: `Piece`s, or None where no own key is
    cut. `shared`: [(rows counted from the first, index of the kept shared keys)], which together are all rows.
    """

    def __init__(self, edges, first: int, length: int, device):
        # Few clean rows before many recomputed ones are cheaper to copy before each variant's keys than to attend to apart.
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
        """Rows whose own key is among the kept ones: causal over those, from the first row on."""
        if len(rows):
            keys = kept.nonzero()[:, 0]
            keys = keys[(keys <= rows[-1]) & (keys >= self.base)]
            queries = keys[keys >= rows[0]]
            self._add(rows, queries, keys, True, False)

    def _losing(self, rows, kept, itself):
        """Rows that are themselves of the kind they lose: together as long as they see equally many kept keys."""
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
    """Attention of variants to their own keys: q (n, R, heads, d); k, v (n, R or the rows from 0 on, kv heads, d)."""
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
    """Variants whose recomputed rows are those from `first` on, in one layer.

    own: [(which variants, their pieces)]; shared: [(which of all their rows, kept shared keys)]; None means all of them. zero:
    (n,) bool, variants that are cut by value_zero, whose weights are those of the uncut run; None for no such variant.
    """

    first: int
    base: int
    own: list
    shared: list
    zero: torch.Tensor | None = None

    def attend(self, q, k, v, clean_k, clean_v, scale: float):
        """(n, R, heads, d) queries, (n, R, kv heads, d) own keys and values; clean ones (S, kv heads, d).

        Returns out (n, R, heads, d) and log sums (n, R, heads).
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
        """Results of every group, put where they belong along the first dimension of `like`."""
        if len(groups) == 1 and groups[0][0] is None:
            return work(*groups[0])
        out, log_sums = torch.empty_like(like), None
        for here, how in groups:
            o, s = work(here, how)
            log_sums = s.new_empty(like.shape[:-1]) if log_sums is None else log_sums
            out[here], log_sums[here] = o, s
        return out, log_sums


def arrange(cuts: list, length: int, device, zero=None) -> Block:
    """The `Block` of some variants, given each one's `Cut`; zero: for each, whether it is cut by value_zero."""
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
    """Given to a layer in place of a mask: how the stacked rows (1, N, D) of all blocks attend; clean (S, kv heads, d)."""

    clean_k: torch.Tensor
    clean_v: torch.Tensor
    blocks: list  # of (Block, its number of variants), in the order of their rows

    def attend(self, q, k, v, scale: float):
        """(1, heads, N, d) and (1, kv heads, N, d) -> (1, N, heads, d)."""
        length, start, out = len(self.clean_k), 0, []
        for block, variants in self.blocks:
            stop = start + variants * (length - block.first)
            mine = (x[0, :, start:stop].transpose(0, 1).unflatten(0, (variants, -1)) for x in (q, k, v))
            out.append(block.attend(*mine, self.clean_k, self.clean_v, scale)[0].flatten(0, 1))
            start = stop
        return (torch.cat(out) if len(out) > 1 else out[0])[None]


@dataclass(frozen=True)
class ValueZero:
    """Given to a layer in place of a mask: weights under `visible`, then only those of `kept` keys count; (n, 1, S, S) bool."""

    visible: torch.Tensor
    kept: torch.Tensor

    def attend(self, q, k, v, scale: float):
        """The reference, written out for so many queries at once as SCORES allow: (n, heads, S, d) -> (n, S, heads, d)."""
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        out, step = [], max(1, SCORES // (q.shape[0] * q.shape[1] * k.shape[2]))
        for start in range(0, q.shape[2], step):
            rows = slice(start, start + step)
            scores = (q[:, :, rows] @ k.transpose(2, 3)).to(torch.promote_types(q.dtype, torch.float32)) * scale
            weights = scores.masked_fill(~self.visible[..., rows, :], -torch.inf).softmax(-1)
            out.append(weights.masked_fill(~self.kept[..., rows, :], 0).to(v.dtype) @ v)
        return torch.cat(out, 2).transpose(1, 2)


def forward(module, query, key, value, attention_mask, scaling=None, **kwargs):
    """transformers' attention function: sdpa, unless the mask is one of the objects above."""
    if isinstance(attention_mask, (Rows, ValueZero)):
        return attention_mask.attend(query, key, value, scaling), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)


def install(decoder) -> None:
    """Let a decoder that was loaded with sdpa attend through `forward`."""
    AttentionInterface.register(KERNEL, forward)
    AttentionMaskInterface.register(KERNEL, sdpa_mask)
    decoder.config._attn_implementation = KERNEL
