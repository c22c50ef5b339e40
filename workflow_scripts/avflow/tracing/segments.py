"""Attention in segments: groups of queries, each with keys of its own, in as few kernel launches as the device allows.

    attend   one batch of equal segments, with the logarithms of the softmax normalisers ("log sums")
    Call     any number of segments. A GPU takes them all in one variable-length kernel (in 16 bits); elsewhere equal ones are
             batched
    joined   combines two attentions over disjoint keys exactly, as FlashAttention combines its blocks (arXiv 2205.14135, section
             3.1)
    Packed   copies many small lists of row numbers to the device at once

Launching a kernel takes longer than most of these kernels run, so launches are what counts.
"""

import functools
import itertools
from dataclasses import dataclass, field

import numpy as np
import torch

MOST_KEYS = 2**20  # keys that one call copies: 1 GB of keys and values each for 4 heads of 128 numbers in 16 bits


def attend(q, k, v, scale: float, causal: bool):
    """Softmax attention and its log sums.

    q (n, Q, heads, d); k, v (n, K, kv heads, d) -> (n, Q, heads, d), and log sums (n, Q, heads). causal: the queries stand at
    the last Q of the K keys, and see no later key.
    """
    if q.is_cuda and q.dtype in (torch.bfloat16, torch.float16):
        flash = torch.ops.aten._flash_attention_forward
        out, log_sum, *_ = flash(q, k, v, None, None, q.shape[1], k.shape[1], 0.0, causal, False, scale=scale)
        return out, log_sum.transpose(1, 2)
    if not q.is_cuda:
        return _on_cpu(q, k, v, scale, causal)
    q, k, v = (x.transpose(1, 2) for x in (q, *(x.repeat_interleave(q.shape[2] // k.shape[2], 2) for x in (k, v))))
    scores = (q @ k.transpose(2, 3)).to(torch.promote_types(q.dtype, torch.float32)) * scale
    if causal and q.shape[2] > 1:
        scores = scores + _later(q.shape[2], k)
    log_sum = scores.logsumexp(-1)
    out = (scores - log_sum[..., None]).exp().to(v.dtype) @ v
    return out.transpose(1, 2), log_sum.transpose(1, 2)


def _on_cpu(q, k, v, scale: float, causal: bool):
    """The same on a CPU. Heads that share keys become further queries: they need no copies of the keys, and larger products."""
    (count, groups), square = (q.shape[1], q.shape[2] // k.shape[2]), q.shape[1] == k.shape[1]
    q = q.unflatten(2, (-1, groups)).transpose(1, 2).flatten(2, 3)  # (n, kv heads, Q * groups, d)
    k, v, hidden = k.transpose(1, 2), v.transpose(1, 2), None
    if causal and count > 1 and not (square and groups == 1):
        hidden = _later(count, k).repeat_interleave(groups, 0)
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    found = flash(q, k, v, 0.0, causal and square and hidden is None, attn_mask=hidden, scale=scale)
    return [x.unflatten(2, (count, groups)).transpose(1, 2).flatten(2, 3) for x in found]


def _later(count: int, k) -> torch.Tensor:
    """A mask to add to scores: -inf for keys (.., K, d) later than a query, where `count` queries stand at the last keys."""
    hidden = torch.zeros(count, k.shape[2], dtype=k.dtype, device=k.device)
    return hidden.masked_fill_(torch.ones_like(hidden, dtype=torch.bool).triu(1 + k.shape[2] - count), -torch.inf)


def joined(one, other):
    """Combine two attentions over disjoint keys, each (out, log sums). An attention without keys is zeros and -inf."""
    share = torch.sigmoid(one[1] - other[1])[..., None]  # the first one's part of the softmax
    out = torch.lerp(other[0].to(share.dtype), one[0].to(share.dtype), share).to(one[0].dtype)
    return out, torch.logaddexp(one[1], other[1])


def put(tensor: torch.Tensor, device) -> torch.Tensor:
    """Copy a tensor to the device without waiting for the device's pending work."""
    return tensor.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else tensor


class Numbers:
    """A list of integers: `array` on the CPU and, after `Packed.put`, `tensor` on the device."""

    def __init__(self, array: np.ndarray):
        self.array, self.tensor = array, None


class Packed:
    """Lists of integers that go to the device in one copy."""

    def __init__(self):
        self.waiting = []

    def add(self, array: np.ndarray) -> Numbers:
        self.waiting.append(Numbers(array))
        return self.waiting[-1]

    def rows(self, array: np.ndarray, size: int):
        """The same for row numbers out of `size`. None stands for all in order, and a slice for consecutive ones."""
        start = int(array[0]) if len(array) else 0
        if np.array_equal(array, np.arange(start, start + len(array))):
            return None if len(array) == size else slice(start, start + len(array))
        return self.add(array)

    def put(self, device) -> None:
        for kind in (np.int64, np.int32):
            some = [numbers for numbers in self.waiting if numbers.array.dtype == kind]
            if some:
                whole = put(torch.from_numpy(np.concatenate([numbers.array for numbers in some])), device)
                for numbers, part in zip(some, whole.split([len(numbers.array) for numbers in some])):
                    numbers.tensor = part
        self.waiting = []


def rows_of(x: torch.Tensor, at) -> torch.Tensor:
    """The rows of x that `Packed.rows` names."""
    return x if at is None else x[at] if isinstance(at, slice) else x.index_select(0, at.tensor)


def places(at):
    """The same as an index."""
    return slice(None) if at is None else at if isinstance(at, slice) else at.tensor


@dataclass
class Segments:
    """Collects segments. `close` makes calls of them, in their order."""

    causal: bool
    queries: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    runs: list = field(default_factory=list)  # (how many in a row, queries each, keys each)
    total: int = 0

    def add(self, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Add m segments with row numbers queries (m, Q) and keys (m, K). Returns where each query's result will be (m, Q)."""
        (many, each), seen = queries.shape, keys.shape[1]
        self.queries.append(queries.ravel())
        self.keys.append(keys.ravel())
        self.runs.append((many, each, seen))
        self.total += queries.size
        return np.arange(self.total - queries.size, self.total).reshape(queries.shape)

    def close(self, packed: Packed, rows: int, pool: int) -> "list[Call]":
        """Calls that copy at most MOST_KEYS keys, if there are smaller parts. rows, pool: how many queries and keys there are."""
        calls, begin, keys = [], 0, 0
        for end, (many, _, seen) in enumerate(self.runs):
            if end > begin and keys + many * seen > MOST_KEYS:
                calls.append(self._call(slice(begin, end), packed, rows, pool))
                begin, keys = end, 0
            keys += many * seen
        return [*calls, self._call(slice(begin, None), packed, rows, pool)] if self.runs else []

    def _call(self, part: slice, packed: Packed, rows: int, pool: int) -> "Call":
        runs, count, bounds = self.runs[part], sum(many for many, *_ in self.runs[part]), None
        if count > 1:
            sizes = [np.repeat([run[i] for run in runs], [many for many, *_ in runs]) for i in (1, 2)]
            bounds = [packed.add(np.concatenate([[0], some.cumsum()]).astype(np.int32)) for some in sizes]
        queries, keys = (
            packed.rows(np.concatenate(some[part]), size) for some, size in ((self.queries, rows), (self.keys, pool))
        )
        return Call(queries, keys, runs, self.causal, bounds, tuple(max(run[i] for run in runs) for i in (1, 2)))


@dataclass(frozen=True)
class Call:
    """Attention in segments. queries, keys: row numbers (see `Packed.rows`), segment after segment. runs: see `Segments`.

    bounds: where segments begin among queries and among keys; None for a single segment. longest: queries and keys of the
    longest segments. causal: the queries of a segment stand at its last keys, and see no later key.
    """

    queries: object
    keys: object
    runs: list
    causal: bool
    bounds: list | None
    longest: tuple

    def run(self, q, k, v, scale: float):
        """q (N, heads, d); k, v (pool, kv heads, d) -> (all segments' queries, heads, d), and log sums (.., heads)."""
        same, q, k = v is k, rows_of(q, self.queries), rows_of(k, self.keys)
        v = k if same else rows_of(v, self.keys)
        if self.bounds and takes_segments(q.device, q.dtype):
            return in_one_kernel(q, k, v, *(some.tensor for some in self.bounds), *self.longest, scale, self.causal)
        found, start, at = [], 0, 0
        for many, each, seen in self._alike():
            stop, to = start + many * each, at + many * seen
            mine = (x[a:b].unflatten(0, (many, -1)) for x, a, b in ((q, start, stop), (k, at, to), (v, at, to)))
            found.append([x.flatten(0, 1) for x in attend(*mine, scale, self.causal)])
            start, at = stop, to
        return found[0] if len(found) == 1 else [torch.cat(some) for some in zip(*found)]

    def _alike(self):
        """The runs, with neighbours of equal size as one."""
        for (each, seen), some in itertools.groupby(self.runs, lambda run: run[1:]):
            yield sum(many for many, *_ in some), each, seen


def in_one_kernel(q, k, v, of_queries, of_keys, most_queries: int, most_keys: int, scale: float, causal: bool):
    """Segments one after another in q (Q, heads, d) and k, v (K, kv heads, d); int32 bounds (segments + 1,). As `Call.run`."""
    flash = torch.ops.aten._flash_attention_forward
    out, log_sums, *_ = flash(q, k, v, of_queries, of_keys, most_queries, most_keys, 0.0, causal, False, scale=scale)
    return out, log_sums.T


@functools.cache
def takes_segments(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the device has a kernel for segments that gives what `attend` gives for each, within 1 %."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    return agrees(device, dtype)


def agrees(device, dtype) -> bool:
    """Compare `in_one_kernel` with `attend` on segments of several sizes, causal and not, with grouped heads."""
    g = torch.Generator().manual_seed(0)
    sizes = [(5, 9), (1, 40), (33, 33), (1, 1)]
    queries, keys = ([pair[i] for pair in sizes] for i in (0, 1))
    q, k, v = (torch.randn(sum(n), h, 64, generator=g).to(device, dtype) for n, h in ((queries, 4), (keys, 2), (keys, 2)))
    bounds = [torch.tensor([0, *np.cumsum(n)], dtype=torch.int32, device=device) for n in (queries, keys)]
    for causal in (False, True):
        parts = zip(q.split(queries), k.split(keys), v.split(keys))
        single = [attend(*(x[None] for x in part), 0.125, causal) for part in parts]
        try:
            found = in_one_kernel(q, k, v, *bounds, 33, 40, 0.125, causal)
        except (RuntimeError, TypeError, AttributeError):  # another build of torch, or a GPU without the kernel
            return False
        for one, other in zip(found, (torch.cat([x[0] for x in some]) for some in zip(*single))):
            if one.shape != other.shape or not bool((one - other).abs().max() <= 0.01 * other.abs().max()):
                return False
    return True
