"""Attention of the clean run. It measures how much attention cuts would remove, from its own queries and keys.

The share of a query that cut keys C hold is exp(log sum over C - log sum over all visible keys). Both log sums are those of a
softmax's normaliser. Kernels give the second one along with the clean attention, so only the cut keys are attended to once more.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .kept_keys import Block, Cut
from .row_attention import together
from .segments import Packed, Segments, attend, put, rows_of

SCORES = 2**27  # attention scores per step: 512 MiB in fp32
HELD = 2**26  # log sums that wait to be turned into shares: 256 MiB in fp32


class CleanAttention:
    """Handed to a layer in place of a mask, in a clean run: it attends causally, and measures what each of the edges removes.

    parts: see `Cut`; empty for a single prompt. `shares()` then gives, for each of the edges and layers, the share of the cut
    queries' attention that goes to the cut keys, as a mean over queries and heads: (edges, L), on the device. by_head: as a mean
    over queries alone: (edges, L, heads). Edges without a visible pair have 0.
    """

    def __init__(self, edges: list, device, length: int, parts: tuple = (), by_head: bool = False):
        self.by_head = by_head
        self.first = min((int(e.queries()[0]) for e in edges if e.count), default=0)
        self.kept, self.found = [], []  # log sums of the layers that `_reduce` has not seen, and shares of those before
        segments, packed, owners, self.uneven = Segments(False), Packed(), [], []
        each = [1 / max(1, len(e.queries())) for e in edges]
        for number, e in enumerate(edges):
            for rows, keys in e.classes:
                seen = torch.searchsorted(keys, rows, right=e.own)
                keys = keys[: int(seen.max())]
                if (seen == seen[0]).all():
                    segments.add((rows - self.first).numpy()[None], keys.numpy()[None])
                    owners += [number] * len(rows)
                else:  # queries see different ones of the cut keys
                    hidden = torch.arange(len(keys)) >= seen[:, None]
                    self.uneven.append((number, *(put(x, device) for x in (rows - self.first, keys, hidden))))
        self.calls = segments.close(packed, length - self.first, length)
        self.all = together([Block([Cut(None, 0, length, parts)])], packed) if parts else None
        packed.put(device)
        # A row for each of the edges: its mean over all queries in the calls, of which only its own count.
        means = torch.zeros(len(edges), len(owners))
        means[owners, np.arange(len(owners))] = torch.tensor(each)[owners]
        sizes = [sum(many * queries for many, queries, _ in call.runs) for call in self.calls]
        self.means, self.each = put(means, device).split(sizes, 1), put(torch.tensor(each), device)

    def attend(self, q, k, v, scale: float):
        """q (1, heads, S, d); k, v (1, kv heads, S, d) -> (1, S, heads, d)."""
        if self.all:
            mine = [x[0].transpose(0, 1) for x in (q, k, v)]
            out, log_sums = self.all.attend(*mine, *mine[1:], scale)
            out, log_sums = out[None], log_sums[self.first :]
        else:
            out, log_sums = causal(q, k, v, scale, self.first)
        q, k = (x[0].transpose(0, 1) for x in (q[:, :, self.first :], k))
        calls = [call.run(q, k, k, scale)[1] for call in self.calls]  # the values do not matter here
        uneven = [_hiding(q[rows], k[keys], log_sums[rows], hidden, scale) for _, rows, keys, hidden in self.uneven]
        self.kept.append([log_sums, *calls, *uneven])
        if len(self.kept) * sum(some.numel() for some in self.kept[0]) > HELD:
            self._reduce()
        return out

    def _reduce(self):
        """Turn the log sums kept so far into shares: a few operations for many layers, instead of for each."""
        totals, *others = (torch.stack(some, -2) for some in zip(*self.kept))  # (rows, layers, heads); `uneven`: (layers, heads)
        of_heads = (lambda shares: shares) if self.by_head else (lambda shares: shares.mean(-1))
        found = totals.new_zeros(len(self.each), *of_heads(totals[:1]).shape[1:])
        for call, mean, some in zip(self.calls, self.means, others):
            shares = of_heads((some - rows_of(totals, call.queries)).exp())
            found += (mean.to(some.dtype) @ shares.flatten(1)).view_as(found)
        for (number, *_), some in zip(self.uneven, others[len(self.calls) :]):
            found[number] += self.each[number] * of_heads(some)
        self.kept = []
        self.found.append(found)

    def shares(self) -> torch.Tensor:
        if self.kept:
            self._reduce()
        return torch.cat(self.found, 1).clamp(0, 1).float()


def _hiding(q, k, log_sums, hidden, scale: float):
    """The sum of shares over queries, (heads,). q (R, heads, d), k (K, kv heads, d). hidden (R, K): what a query does not see."""
    k = k.repeat_interleave(q.shape[1] // k.shape[1], 1).permute(1, 2, 0)  # (heads, d, K)
    found, step = 0, max(1, SCORES // (q.shape[1] * k.shape[2]))
    for start in range(0, len(q), step):
        here = slice(start, start + step)
        scores = (q[here].transpose(0, 1) @ k).to(log_sums.dtype) * scale - log_sums[here].T[..., None]
        found = found + scores.masked_fill(hidden[here], -torch.inf).exp().sum((1, 2))
    return found


def causal(q, k, v, scale: float, first: int):
    """Causal attention of a whole sequence, and the log sums of the rows from `first` on.

    q (1, heads, S, d); k, v (1, kv heads, S, d) -> (1, S, heads, d), (S - first, heads). It runs the kernel that sdpa would run.
    """
    if q.is_cuda and q.dtype in (torch.bfloat16, torch.float16):
        out, log_sums = attend(*(x.transpose(1, 2) for x in (q, k, v)), scale, True)
        return out, log_sums[0, first:]
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    if not q.is_cuda:
        out, log_sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, True, scale=scale)
        return out.transpose(1, 2), log_sums[0, :, first:].T
    out, found = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale), []
    step = max(1, SCORES // (q.shape[1] * k.shape[2]))
    for start in range(first, q.shape[2], step):
        rows = torch.arange(start, min(start + step, q.shape[2]), device=q.device)
        scores = (q[0, :, rows] @ k[0].transpose(1, 2)) * scale
        found.append(scores.masked_fill(torch.arange(k.shape[2], device=q.device) > rows[:, None], -torch.inf).logsumexp(-1).T)
    return out.transpose(1, 2), torch.cat(found)
