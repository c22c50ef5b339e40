"""Attention within segments gives what transformers gives segment by segment, for pictures and sound of any length."""

import pytest
import torch
from conftest import ROOT

from avflow.models import segment_attention
from avflow.models.qwen_omni import QwenOmni
from avflow.models.video_salmonn import VideoSalmonn


@pytest.fixture(scope="module", params=["tiny-omni", "tiny-salmonn"])
def model(request):
    family = {"tiny-omni": QwenOmni, "tiny-salmonn": VideoSalmonn}[request.param]
    return family(ROOT / "resources" / request.param, "")


def towers(model) -> list:
    return [model.model.visual, model.model.audio_tower] if isinstance(model, QwenOmni) else [model.model.visual]


@pytest.mark.parametrize("height, width, seconds", [(56, 56, 4.0), (84, 140, 5.3), (252, 168, 0.5)])
def test_segments_in_one_call_equal_segments_one_by_one(model, height, width, seconds):
    g = torch.Generator().manual_seed(height)
    frames = torch.randint(0, 256, (int(2 * seconds) // 2 * 2 or 2, 3, height, width), generator=g, dtype=torch.uint8)
    sound = 0.1 * torch.randn(int(16000 * seconds), generator=g)
    plain = model.encode("video", frames=frames, audio=sound, fps=2.0)
    for tower in towers(model):
        tower.config._attn_implementation = segment_attention.NAME
    try:
        joined = model.encode("video", frames=frames, audio=sound, fps=2.0)
    finally:
        for tower in towers(model):
            tower.config._attn_implementation = "sdpa"
    for name in ("vision", "audio"):
        scale = plain[name].abs().max()
        assert (joined[name] - plain[name]).abs().max() <= 1e-5 * scale, name


def test_segments_do_not_see_each_other():
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 10, 8, generator=g) for _ in range(3))
    bounds = torch.tensor([0, 3, 10], dtype=torch.int32)
    before, _ = segment_attention.attend(None, q, k, v, scaling=0.5, cu_seq_lens_q=bounds)
    v[:, :, :3] += 1.0
    after, _ = segment_attention.attend(None, q, k, v, scaling=0.5, cu_seq_lens_q=bounds, max_length_q=7)
    assert before.shape == (1, 10, 2, 8)
    assert torch.equal(before[:, 3:], after[:, 3:]) and not torch.allclose(before[:, :3], after[:, :3])


def test_a_mask_is_refused_and_a_cpu_keeps_its_attention(model):
    q = torch.zeros(1, 1, 2, 8)
    with pytest.raises(ValueError, match="takes no mask"):
        segment_attention.attend(None, q, q, q, attention_mask=torch.ones(2, 2), cu_seq_lens_q=torch.tensor([0, 2]))
    for tower in towers(model):
        assert tower.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("fault", ["shifted", "missing"])
def test_a_kernel_that_computes_something_else_is_not_used(fault, monkeypatch):
    segment_attention.agrees.cache_clear()
    assert segment_attention.agrees(torch.device("cpu"), torch.float32)
    kernel = segment_attention._kernel

    def broken(q, k, v, bounds, longest, scale):
        if fault == "missing":
            raise RuntimeError("no kernel image is available")
        return kernel(q, k, v, torch.tensor([0, 8, 9, 40]), longest, scale)

    monkeypatch.setattr(segment_attention, "_kernel", broken)
    segment_attention.agrees.cache_clear()
    assert not segment_attention.agrees(torch.device("cpu"), torch.float32)
    segment_attention.agrees.cache_clear()
