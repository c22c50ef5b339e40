"""MLPs that are widened for a GPU's kernels give what they gave before."""

import copy

import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5OmniThinkerConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniVisionEncoder
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

from avflow.models import aligned_mlp

SHAPE = dict(depth=2, hidden_size=64, num_heads=4, fullatt_block_indexes=[1], out_hidden_size=32)


def tower(family: str, width: int):
    torch.manual_seed(0)
    kind, config = {
        "omni": (Qwen2_5OmniVisionEncoder, Qwen2_5OmniThinkerConfig),
        "vl": (Qwen2_5_VisionTransformerPretrainedModel, Qwen2_5_VLConfig),
    }[family]
    made = (
        kind._from_config(config(vision_config=SHAPE | dict(intermediate_size=width)).vision_config).eval().requires_grad_(False)
    )
    for p in made.parameters():
        p.normal_(0, 0.2)  # biases, too
    return made


@pytest.mark.parametrize("family", ["omni", "vl"])
@pytest.mark.parametrize(("width", "wide"), [(100, 128), (128, 128), (3, 64)])
def test_a_wider_mlp_gives_the_same(family, width, wide):
    plain = tower(family, width)
    widened = copy.deepcopy(plain)
    aligned_mlp.widen(widened)
    inputs = dict(hidden_states=torch.randn(2 * 8 * 12, 3 * 2 * 14 * 14), grid_thw=torch.tensor([[2, 8, 12]]))
    before, after = (t(**inputs).pooler_output for t in (plain, widened))
    assert before.abs().max() > 0 and (after - before).abs().max() <= 1e-5 * before.abs().max()
    for block, narrow in zip(widened.blocks, plain.blocks):
        assert (
            block.mlp.gate_proj.weight.shape[0] == block.mlp.down_proj.weight.shape[1] == block.mlp.up_proj.out_features == wide
        )
        assert narrow.mlp.gate_proj.weight.shape[0] == width, "the other tower keeps its own"


def test_a_cpu_and_32_bits_keep_their_width():
    kept = tower("omni", 100)
    aligned_mlp.align(kept, torch.device("cpu"), torch.bfloat16)
    aligned_mlp.align(kept, torch.device("cuda"), torch.float32)
    assert kept.blocks[0].mlp.gate_proj.out_features == 100
