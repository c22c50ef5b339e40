"""RMS norms in one operation give what transformers' give."""

import copy

import pytest
import torch
from transformers import Qwen2Config, Qwen2Model
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from avflow.models import fused_norms


def decoder():
    torch.manual_seed(0)
    made = Qwen2Model(
        Qwen2Config(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=96,
            vocab_size=50,
            rms_norm_eps=1e-2,  # large enough to matter
        )
    )
    for p in made.parameters():
        p.requires_grad_(False).normal_(0.5, 0.3)
    return made.eval()


def test_a_decoder_gives_the_same_with_one_operation_a_norm(monkeypatch):
    plain = decoder()
    fused = copy.deepcopy(plain)
    fused_norms.fuse(fused)
    assert sum("forward" in vars(m) for m in fused.modules()) == 5 and not any("forward" in vars(m) for m in plain.modules())
    tokens = torch.arange(20)[None]
    before, after = (model(input_ids=tokens).last_hidden_state for model in (plain, fused))
    assert before.abs().max() > 0.1 and (after - before).abs().max() <= 1e-5 * before.abs().max()
    asked, real = [], torch.nn.functional.rms_norm
    monkeypatch.setattr(fused_norms.F, "rms_norm", lambda x, *more: asked.append(x.shape) or real(x, *more))
    fused(input_ids=tokens)
    assert asked == [(1, 20, 64)] * 5


@pytest.mark.parametrize("kind", [Qwen2_5OmniRMSNorm, Qwen3RMSNorm])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_come_no_further_from_the_exact_norm(kind, dtype):
    g = torch.Generator().manual_seed(0)
    norm, x = kind(256, 1e-6).to(dtype), 3 * torch.randn(64, 256, generator=g).to(dtype)
    norm.weight.data = torch.rand(256, generator=g).to(dtype) + 0.5
    exact = copy.deepcopy(norm).double()
    wide = exact.weight * x.double() * torch.rsqrt(x.double().pow(2).mean(-1, keepdim=True) + 1e-6)
    before = (norm(x).double() - wide).norm()
    fused_norms.fuse(norm)
    assert 0 < (norm(x).double() - wide).norm() <= 1.001 * before


def test_in_fp32_on_a_cpu_norms_round_as_they_did():
    plain = decoder()
    faster = copy.deepcopy(plain)
    fused_norms.use(faster, torch.device("cpu"), torch.float32)
    assert sum("forward" in vars(m) for m in faster.modules()) == 5
    tokens = torch.arange(20)[None]
    before, after = (model(input_ids=tokens).last_hidden_state for model in (plain, faster))
    assert before.abs().max() > 0.1 and (after - before).abs().max() <= 1e-5 * before.abs().max()
    norm, x = faster.norm, 3 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    exact = norm.weight.double() * x.double() * torch.rsqrt(x.double().pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    assert (norm(x) - exact).abs().max() <= 1e-6 * exact.abs().max()


def test_16_bits_on_a_cpu_and_32_on_a_gpu_keep_the_norms_of_transformers():
    kept = decoder()
    fused_norms.use(kept, torch.device("cpu"), torch.bfloat16)
    fused_norms.use(kept, torch.device("cuda"), torch.float32)
    assert not any("forward" in vars(m) for m in kept.modules())


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch):
    check = fused_norms.agrees.__wrapped__
    assert check(torch.device("cpu"), torch.bfloat16)
    real = torch.nn.functional.rms_norm
    monkeypatch.setattr(fused_norms.F, "rms_norm", lambda x, shape, weight, eps: 1.05 * real(x, shape, weight, eps))
    assert not check(torch.device("cpu"), torch.bfloat16)
