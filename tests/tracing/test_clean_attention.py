"""Removed mass of single attention calls, against dense weights, by every kernel that a device may have."""

import pytest
import torch
import torch.nn.functional as F

from avflow.tracing import clean_attention
from avflow.tracing.interventions import Edges

LENGTH, HEADS, KV, SIZE = 23, 6, 2, 16


@pytest.fixture
def qkv():
    g = torch.Generator().manual_seed(0)
    return [2 * torch.randn(1, h, LENGTH, SIZE, generator=g) for h in (HEADS, KV, KV)]


@pytest.fixture
def edges():
    span = torch.arange
    return [
        Edges.visible([(span(20, 23), span(3, 9))], LENGTH),
        Edges.visible([(span(8, 14), span(6, 16))], LENGTH),  # each query sees other cut keys
        Edges.visible([(span(5, 8), span(0, 5)), (torch.tensor([12, 19]), torch.tensor([1, 4, 11]))], LENGTH),
        Edges.visible([(span(2, 4), span(10, 12))], LENGTH),  # nothing visible
        Edges.visible([(torch.tensor([21]), torch.tensor([21]))], LENGTH, own=True),
    ]


def weights(q, k, scale):
    scores = (q @ k.repeat_interleave(HEADS // KV, 1).transpose(2, 3) * scale)[0]
    return scores.masked_fill(torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


@pytest.mark.parametrize("steps", ["one", "many"])
def test_removed_mass_is_the_weight_on_the_cut_keys(qkv, edges, steps, monkeypatch):
    if steps == "many":
        monkeypatch.setattr(clean_attention, "SCORES", 2 * HEADS * 4)
        monkeypatch.setattr(clean_attention, "HELD", 0)
    q, k, v = qkv
    measured = clean_attention.CleanAttention(edges, torch.device("cpu"), LENGTH)
    for factor in (0.2, 0.5):  # two layers
        out = measured.attend(q, k, v, factor)
        plain = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=factor, enable_gqa=True)
        assert torch.allclose(out, plain.transpose(1, 2), atol=1e-6)
    found = measured.shares()
    assert found.shape == (5, 2)
    for layer, factor in enumerate((0.2, 0.5)):
        w = weights(q, k, factor)
        for number, e in enumerate(edges):
            rows = e.queries()
            expected = (w[:, rows] * e.cut(rows, LENGTH)).sum(-1).mean() if len(rows) else torch.tensor(0.0)
            assert found[number, layer] == pytest.approx(expected.item(), abs=1e-6), (number, layer)
    assert found[3].eq(0).all() and found[[0, 1, 2, 4]].gt(1e-4).all()


def test_small_shares_keep_their_digits(qkv):
    """A cut key that gets a hundred-millionth of the attention has that share. One minus the rest would round it to nothing."""
    q, k, v = (x.clone() for x in qkv)
    q[:, :, 22] = q[:, :1, 22]
    k[:, :, 4] = -0.7 * q[:, :KV, 22]
    only = [Edges.visible([(torch.tensor([22]), torch.tensor([4]))], LENGTH)]
    measured = clean_attention.CleanAttention(only, torch.device("cpu"), LENGTH)
    measured.attend(q, k, v, 0.5)
    exact = weights(q.double(), k.double(), 0.5)[:, 22, 4].mean().item()
    assert 0 < exact < 1e-7 and measured.shares().item() == pytest.approx(exact, rel=1e-4)


def test_log_sums_are_alike_without_a_kernel_that_gives_them(qkv, monkeypatch):
    """A GPU in 32 bits computes them from the scores."""
    q, k, v = qkv
    out, log_sums = clean_attention.causal(q, k, v, 0.3, 5)
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda self: True))
    for size in (clean_attention.SCORES, 3 * HEADS * LENGTH):
        monkeypatch.setattr(clean_attention, "SCORES", size)
        again, others = clean_attention.causal(q, k, v, 0.3, 5)
        assert torch.allclose(again, out, atol=1e-6) and torch.allclose(others, log_sums, atol=1e-5)
        assert log_sums.shape == (LENGTH - 5, HEADS)
