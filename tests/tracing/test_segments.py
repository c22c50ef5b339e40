"""Attention in segments gives the same by one kernel as one by one, and a kernel that computes something else is not used."""

import numpy as np
import pytest
import torch
from tracing_cases import one_kernel

from avflow.tracing import segments
from avflow.tracing.segments import Packed, Segments, attend, joined, rows_of

HEADS, KV, SIZE = 4, 2, 8


def collected(causal: bool) -> Segments:
    made = Segments(causal)
    first = made.add(np.array([[2, 3, 5], [9, 8, 7]]), np.array([[0, 1, 2, 3], [6, 4, 5, 2]]))
    other = made.add(np.array([[1]]), np.array([[1]]))
    made.add(np.array([[0, 9, 8]]), np.array([[5, 6, 7, 8]]))
    assert first.tolist() == [[0, 1, 2], [3, 4, 5]] and other.tolist() == [[6]] and made.total == 10
    return made


@pytest.fixture
def qkv():
    g = torch.Generator().manual_seed(0)
    return [torch.randn(10, heads, SIZE, generator=g) for heads in (HEADS, KV, KV)]


def run(made, qkv):
    packed = Packed()
    calls = made.close(packed, 10, 10)
    packed.put("cpu")
    return calls, [torch.cat(some) for some in zip(*(call.run(*qkv, 0.4) for call in calls))]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kv", [1, 2, 4])
@pytest.mark.parametrize("queries, keys", [(1, 7), (3, 7), (7, 7)])
def test_attention_equals_a_softmax_written_out(causal, kv, queries, keys):
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, rows, heads, SIZE, generator=g) for rows, heads in ((queries, HEADS), (keys, kv), (keys, kv)))
    whole_k, whole_v = (x.repeat_interleave(HEADS // kv, 2) for x in (k, v))
    scores = 0.4 * torch.einsum("nqhd,nkhd->nqhk", q, whole_k)
    if causal:
        later = torch.arange(keys) > torch.arange(keys - queries, keys)[:, None]
        scores = scores.masked_fill(later[:, None], -torch.inf)
    out, log_sums = attend(q, k, v, 0.4, causal)
    assert torch.allclose(out, torch.einsum("nqhk,nkhd->nqhd", scores.softmax(-1), whole_v), atol=1e-6)
    assert torch.allclose(log_sums, scores.logsumexp(-1), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_segments_equal_single_calls_in_every_way_of_running_them(qkv, causal, monkeypatch):
    q, k, v = qkv
    lists = [([2, 3, 5], [0, 1, 2, 3]), ([9, 8, 7], [6, 4, 5, 2]), ([1], [1]), ([0, 9, 8], [5, 6, 7, 8])]
    single = [attend(q[rows][None], k[keys][None], v[keys][None], 0.4, causal) for rows, keys in lists]
    expected = [torch.cat([x[0] for x in some]) for some in zip(*single)]
    calls, batched = run(collected(causal), qkv)
    assert len(calls) == 1
    monkeypatch.setattr(segments, "MOST_KEYS", 8)
    calls, parted = run(collected(causal), qkv)
    assert [call.runs for call in calls] == [[(2, 3, 4)], [(1, 1, 1), (1, 3, 4)]]
    used = []
    monkeypatch.setattr(segments, "takes_segments", lambda device, dtype: used.append(device) or True)
    monkeypatch.setattr(segments, "in_one_kernel", one_kernel)
    _, at_once = run(collected(causal), qkv)
    assert len(used) == 2
    for found in (batched, parted, at_once):
        assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(found, expected))


def test_without_segments_there_is_no_call():
    assert Segments(True).close(Packed(), 3, 3) == []


def test_row_numbers_are_copied_only_where_they_must(qkv):
    packed = Packed()
    every, some, apart, none = (packed.rows(np.array(x, np.int64), 4) for x in ([0, 1, 2, 3], [1, 2], [2, 1], []))
    packed.put("cpu")
    assert every is None and some == slice(1, 3) and apart.tensor.tolist() == [2, 1] and packed.waiting == []
    x = torch.arange(4)
    assert [rows_of(x, at).tolist() for at in (every, some, apart, none)] == [[0, 1, 2, 3], [1, 2], [2, 1], []]


def test_disjoint_keys_join_to_all_of_them(qkv):
    q, k, v = (x[None] for x in qkv)
    one, other, whole = (attend(q, k[:, part], v[:, part], 0.4, False) for part in (slice(3), slice(3, 10), slice(10)))
    nothing = torch.zeros_like(q), torch.full(q.shape[:3], -torch.inf)
    for found, expected in ((joined(one, other), whole), (joined(nothing, other), other), (joined(one, nothing), one)):
        assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(found, expected))


@pytest.mark.parametrize("fault", ["none", "missing", "bounds", "first keys", "log sums"])
def test_a_kernel_is_used_only_if_it_agrees(fault, monkeypatch):
    def kernel(q, k, v, of_queries, of_keys, most_queries, most_keys, scale, causal):
        if fault == "missing":
            raise RuntimeError("no kernel image is available")
        if fault == "bounds":
            of_keys = of_keys.clone()
            of_keys[1] += 1
            most_keys = 39
        out, log_sums = one_kernel(q, k, v, of_queries, of_keys, most_queries, most_keys, scale, causal)
        if fault == "first keys" and causal:  # the causal rule counted from the first keys
            out[0] = v[:1].repeat_interleave(2, 1)
        return out, log_sums.T.contiguous() if fault == "log sums" else log_sums

    monkeypatch.setattr(segments, "in_one_kernel", kernel)
    assert segments.agrees(torch.device("cpu"), torch.float32) == (fault == "none")


def test_a_cpu_and_32_bits_take_segments_one_by_one():
    assert not segments.takes_segments(torch.device("cpu"), torch.bfloat16)
    assert not segments.takes_segments(torch.device("cuda"), torch.float32)
