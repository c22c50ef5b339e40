"""Time the encoders of both families in real shapes, as transformers runs them and as the pipeline does, in turns.

`segments` attends segment by segment (sdpa). `joined` attends in one kernel, with MLPs widened for it.

    python benchmarks/encoders.py --out benchmarks/encoders.json      on one GPU, about five minutes
    python benchmarks/encoders.py --smoke --out /tmp/encoders.json    tiny shapes, to see that it runs

Weights and inputs are random. Cases: a clip of 15 seconds in 720p as each family samples it, one picture, a sound. Each way runs
`REPEATS` times in turns, after warm-ups; medians are kept. Kernels, their summed time and the longest of them (ms, by name) come
from one profiled run. Each case is written at once. Errors are against the same weights in fp32 with sdpa: the norm of the
difference over the norm, for both ways.
"""

import argparse
import collections
import copy
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5OmniThinkerConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder, Qwen2_5OmniVisionEncoder
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from avflow.models import aligned_mlp, fused_norms, segment_attention  # noqa: E402

VISION = dict(depth=32, hidden_size=1280, intermediate_size=3420, num_heads=16, fullatt_block_indexes=[7, 15, 23, 31])
AUDIO = dict(d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120, n_window=100, output_dim=2048)
SMALL = dict(depth=4, hidden_size=64, intermediate_size=96, num_heads=4, fullatt_block_indexes=[1, 3])
SMALL_AUDIO = dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96, n_window=100, output_dim=64)
REPEATS, WARM_UPS, LONGEST = 9, 3, 8
PATCH = 3 * 2 * 14 * 14


def towers(smoke: bool) -> dict:
    """name -> (a function that makes the tower, in fp32; cases as name -> inputs by keyword)."""
    vision = SMALL | dict(out_hidden_size=64) if smoke else VISION | dict(out_hidden_size=2048)
    omni = Qwen2_5OmniThinkerConfig(vision_config=vision, audio_config=SMALL_AUDIO if smoke else AUDIO)
    vl = Qwen2_5_VLConfig(vision_config=vision)

    def video(*grid):
        return dict(hidden_states=torch.randn(grid[0] * grid[1] * grid[2], PATCH), grid_thw=torch.tensor([grid]))

    def sound(frames):
        return dict(input_features=torch.randn(128, frames), feature_lens=torch.tensor([frames]))

    few = dict(clip=video(2, 8, 12), picture=video(1, 8, 12))
    make = lambda kind, config: lambda: kind._from_config(config, attn_implementation="sdpa").eval().requires_grad_(False)
    clip = dict(clip=video(15, 46, 66), picture=video(1, 46, 66))  # 45,540 and 3,036 patches
    return {
        "Qwen2.5-Omni, vision": (make(Qwen2_5OmniVisionEncoder, omni.vision_config), few if smoke else clip),
        "Qwen2.5-Omni, sound": (
            make(Qwen2_5OmniAudioEncoder, omni.audio_config),
            {"sound": sound(450)} if smoke else {"sound of 15 s": sound(1500)},
        ),
        "video-SALMONN 2+, vision": (
            make(Qwen2_5_VisionTransformerPretrainedModel, vl.vision_config),
            few if smoke else {"clip": video(75, 34, 60)},  # 150 frames of 61,250 pixels at most share 95 % of 768 x 61,250
        ),
    }


def output_of(found) -> torch.Tensor:
    pooled = getattr(found, "pooler_output", None)
    return found.last_hidden_state if pooled is None else pooled


@torch.inference_mode()
def measure(tower, inputs: dict, device: str, dtype) -> dict:
    """Times in ms, kernels and errors of one case, by way of attention."""
    inputs = {k: v.to(device) for k, v in inputs.items()}
    floats = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    exact = output_of(tower(**inputs))
    ways = {"segments": copy.deepcopy(tower).to(dtype), "joined": copy.deepcopy(tower).to(dtype)}
    segment_attention.use(ways["joined"], torch.device(device), dtype)
    aligned_mlp.align(ways["joined"], torch.device(device), dtype)
    fused_norms.use(ways["joined"], torch.device(device), dtype)

    def run(name):
        synchronise()
        began = time.perf_counter()
        out = ways[name](**floats)
        synchronise()
        return 1000 * (time.perf_counter() - began), output_of(out)

    found = {}
    for name in ways:
        out = run(name)[1].float()
        found[name] = {"error": ((out - exact).norm() / exact.norm()).item()}
    for _ in range(WARM_UPS):
        for name in ways:
            run(name)
    times = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name in ways:
            times[name].append(run(name)[0])
    for name in ways:
        found[name] |= {"ms": statistics.median(times[name]), "low": min(times[name]), "high": max(times[name])}
        if device == "cuda":
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
                run(name)
            kernels = [e for e in profiled.events() if e.device_type == torch.autograd.DeviceType.CUDA]
            spent = collections.Counter()
            for e in kernels:
                spent[e.name[:80]] += e.device_time / 1000
            found[name] |= {"kernels": len(kernels), "kernel_ms": spent.total(), "longest": dict(spent.most_common(LONGEST))}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--encoder", default="", help="only encoders whose name contains this; other rows of --out stay")
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    rows = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else []
    for name, (make, cases) in towers(arguments.smoke).items():
        if arguments.encoder not in name:
            continue
        with torch.device(device):
            tower = make()
        for case, inputs in cases.items():
            found = measure(tower, inputs, device, dtype)
            row = {"encoder": name, "case": case, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
            row |= {"torch": torch.__version__, "dtype": str(dtype).removeprefix("torch."), **found}
            rows = [r for r in rows if (r["encoder"], r["case"]) != (name, case)] + [row]
            arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            ways = ", ".join(f"{way} {x['ms']:.1f} ms (error {x['error']:.1e})" for way, x in found.items())
            print(f"{name}, {case}: {ways}", flush=True)


if __name__ == "__main__":
    main()
