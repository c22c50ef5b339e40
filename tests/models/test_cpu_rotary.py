"""Rotary embedding in fewer operations gives what transformers' gives, and serves no other device or dtype."""

import functools

import pytest
import torch
from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as omni
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as vl
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as omni3

from avflow.models import cpu_rotary

CPU = torch.device("cpu")


def plain(module):
    """The module's function as transformers wrote it, whether or not another test has loaded a model."""
    found = getattr(module, cpu_rotary.NAME)
    return found.args[0] if isinstance(found, functools.partial) else found


@pytest.fixture(params=[omni, vl, omni3], ids=lambda module: module.__name__.split(".")[-1])
def module(request, monkeypatch):
    monkeypatch.setattr(request.param, cpu_rotary.NAME, plain(request.param))
    return request.param


def decoder(module):
    return type("Decoder", (), {"__module__": module.__name__})()


@pytest.mark.parametrize("turned, axis", [((1, 3, 9, 16), 1), ((1, 9, 3, 16), 2)])
def test_queries_and_keys_are_rotated_as_before(module, turned, axis):
    g = torch.Generator().manual_seed(0)
    q, k = torch.randn(turned, generator=g), torch.randn(turned, generator=g)
    angles = torch.randn(1, 9, 16, generator=g)
    given = q, k, angles.cos(), angles.sin(), axis
    before = getattr(module, cpu_rotary.NAME)(*given)
    cpu_rotary.use(decoder(module), CPU, torch.float32)
    after = getattr(module, cpu_rotary.NAME)(*given)
    for one, other in zip(before, after):
        assert (one - other).abs().max() <= 1e-6 * one.abs().max()
    wide = [x.double() for x in given[:4]]
    for one, other in zip(plain(module)(*wide, axis), getattr(module, cpu_rotary.NAME)(*wide, axis)):
        assert torch.equal(one, other), "another dtype keeps transformers' function"


def test_it_is_set_once_and_only_for_fp32_on_a_cpu(module):
    written = plain(module)
    cpu_rotary.use(decoder(module), CPU, torch.bfloat16)
    cpu_rotary.use(decoder(module), torch.device("cuda"), torch.float32)
    assert getattr(module, cpu_rotary.NAME) is written
    for _ in range(2):
        cpu_rotary.use(decoder(module), CPU, torch.float32)
    assert plain(module) is written and getattr(module, cpu_rotary.NAME) is not written
