"""Measure what discarding tokens saves and what a sweep over all layers costs, on decoders of the real shapes, random weights.

    python benchmarks/pruning.py --out benchmarks/pruning.json            on one GPU, about 5 minutes
    python benchmarks/pruning.py --smoke --out /tmp/pruning.json          small shapes on a CPU, to see that it runs

There is one case per shape and length. All audio-visual tokens leave after 0.25, 0.5 and 0.75 of the layers. The prompt runs with
and without discards in turns: 3 runs to warm up and 20 that count, timed by CUDA events. Results are medians and quartiles.

    prefill_ms                     the workflow's way: layer by layer from Python, with the removal of tokens
    graph_ms                       the same kernels replayed as one CUDA graph, without the time that Python needs to launch them
    saved, graph_saved             shares of the clean time that are saved
    flops_saved                    share of the operations that is saved (avflow/tracing/costs.py)
    kernels_ms, profile            time of all kernels by the profiler; the longest of them
    decode_ms, decode_kernels_ms   one generated token after each plan, from a copy of its cache; its kernels alone

A layer of a hundred rows takes the GPU less time than its launch. At 3,000 tokens the sweep over every layer, with its clean run,
is compared with one prefill per layer. Errors are relative to the largest logit.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))  # first, because both folders have a knockout.py
from avflow.tracing import Discard, clean_run, costs, discards, knockout, timing
from knockout import build, sequence

DEPTHS = (0.25, 0.5, 0.75)


def backend(profile: dict) -> str:
    """The backend that sdpa chose, told by the names of the kernels that ran."""
    names = " ".join(profile).lower()
    return next((f"sdpa, {kind}" for kind, word in (("cuDNN", "cudnn"), ("flash", "flash")) if word in names), "sdpa, other")


def kernels(work, device, most: int = 6) -> tuple[float, dict]:
    """Milliseconds of all kernels together, and of each of the `most` longest."""
    activity = torch.profiler.ProfilerActivity.CUDA if device.type == "cuda" else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profile:
        work()
    taken = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    spent = sorted(((e.key[:90], getattr(e, taken) / 1000) for e in profile.key_averages()), key=lambda kv: -kv[1])
    return sum(ms for _, ms in spent), {name: round(ms, 3) for name, ms in spent[:most]}


def graphed(work):
    """Record the kernels of a call as one CUDA graph. Returns the function that replays them."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def measure(model, tokens: int, repeats: int, with_sweep: bool) -> dict:
    """The results of one shape and length."""
    seq, device = sequence(model, tokens), model.device
    seq = replace(seq, positions=seq.positions.to(device))
    layers, shape = len(model.decoder.layers), costs.shape_of(model.decoder.config)
    case = {
        "model": model.folder,
        "tokens": len(seq),
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    case |= {"device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu", "torch": torch.__version__}
    case |= {"repeats": repeats, "warm_up": timing.WARM_UP[device.type]}
    plans = {"clean": {}}
    for depth in DEPTHS:
        last_full = round(depth * layers) - 1
        plans[str(depth)] = discards.resolve(seq, [Discard("video", last_full), Discard("audio", last_full)], layers)
    runs = {name: (lambda drops=drops: discards.prefill(model, seq, drops)) for name, drops in plans.items()}
    times = timing.in_turns(runs, device, repeats)
    graphs = times
    if device.type == "cuda":
        steps = {name: discards.schedule(drops, len(seq), device) for name, drops in plans.items()}
        whole = {n: graphed(lambda n=n: discards.prefill(model, seq, plans[n], steps[n])) for n in plans}
        graphs = timing.in_turns(whole, device, repeats)
        del whole
    states = {name: run() for name, run in runs.items()}
    work = {n: costs.prefill_flops(shape, s.rows, model.head.out_features) for n, s in states.items()}
    weights = {n: sum(costs.layer_flops(shape, rows, 0) for rows in s.rows) for n, s in states.items()}
    held = {n: s.cache.bytes for n, s in states.items()}
    token_layers = {n: sum(s.rows) for n, s in states.items()}
    states.clear()

    def decode_from(name):
        """A function that generates a token from the cache of this plan."""
        state = discards.prefill(model, seq, plans[name])
        token = state.logits.argmax()[None]
        return lambda: discards.decode(model, state.cache.copy(), token, discards.following(seq))

    steps = {name: decode_from(name) for name in plans}
    decoded = timing.in_turns(steps, device, repeats)
    decode_kernels = {name: kernels(step, device)[0] for name, step in steps.items()}
    steps.clear()
    case["clean_ms"], case["clean_quartiles_ms"] = times["clean"][0], times["clean"][1:]
    case["clean_graph_ms"] = graphs["clean"][0]
    case["clean_kernels_ms"], case["clean_profile"] = kernels(runs["clean"], device)
    case["backend"] = backend(case["clean_profile"])
    case["clean_tflop"], case["clean_decode_ms"], case["clean_kv_bytes"] = (
        work["clean"] / 1e12,
        decoded["clean"][0],
        held["clean"],
    )
    case["clean_decode_quartiles_ms"], case["clean_decode_kernels_ms"] = decoded["clean"][1:], decode_kernels["clean"]
    case["clean_peak_bytes"] = timing.peak_bytes(runs["clean"], device)
    case["discards"] = []
    for name in plans:
        if name == "clean":
            continue
        found = {"depth": float(name), "layer": max(plans[name]), "prefill_ms": times[name][0], "quartiles_ms": times[name][1:]}
        found["saved"] = 1 - times[name][0] / times["clean"][0]
        found["graph_ms"], found["graph_saved"] = graphs[name][0], 1 - graphs[name][0] / graphs["clean"][0]
        found["flops_saved"] = 1 - work[name] / work["clean"]
        found["weights_saved"] = 1 - weights[name] / weights["clean"]
        found |= {
            "token_layers": token_layers[name] / token_layers["clean"],
            "kv_bytes": held[name],
            "decode_ms": decoded[name][0],
            "decode_quartiles_ms": decoded[name][1:],
            "decode_kernels_ms": decode_kernels[name],
        }
        found["peak_bytes"] = timing.peak_bytes(runs[name], device)
        found["kernels_ms"], found["profile"] = kernels(runs[name], device)
        case["discards"].append(found)
    if with_sweep:
        case |= sweep(model, seq, layers, max(5, repeats // 4))
    return case


def sweep(model, seq, layers: int, repeats: int) -> dict:
    """Discard all audio-visual tokens after every layer: by the sweep with its clean run, and by one prefill per layer."""
    tokens = torch.cat([seq.spans["video"], seq.spans["audio"]]).sort().values
    after, plan = list(range(layers)), knockout.plan(model)
    plans = [discards.resolve(seq, [Discard("video", layer), Discard("audio", layer)], layers) for layer in after]
    first = int(tokens[0])
    swept = lambda: discards.sweep(model, clean_run(model, seq, first), tokens, after, plan.rows)
    naive = lambda: torch.stack([discards.prefill(model, seq, drops).logits for drops in plans])
    times = timing.in_turns({"sweep": swept, "naive": naive}, model.device, repeats, 1)
    a, b = swept(), naive()
    found = {"sweep_ms": times["sweep"][0], "naive_sweep_ms": times["naive"][0], "sweep_x": times["naive"][0] / times["sweep"][0]}
    found["max_rel_err"] = ((a - b).abs().max() / b.abs().max()).item()
    return found | {"max_rel_effect": ((b - b[-1]).abs().max() / b.abs().max()).item()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--smoke", action="store_true", help="small shapes on the CPU")
    parser.add_argument("--repeats", type=int, default=timing.REPEATS)
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available() and not arguments.smoke
    device, dtype = ("cuda", torch.bfloat16) if cuda else ("cpu", torch.float32)
    found = []
    for shape in ("tiny",) if arguments.smoke else ("3B", "7B"):
        model = build(shape, device, dtype)
        for tokens in (200, 400) if arguments.smoke else (3000, 8000, 16000):
            found.append(measure(model, tokens, arguments.repeats, tokens in (200, 3000)))
            print(json.dumps(found[-1]), flush=True)
            arguments.out.write_text(json.dumps(found, indent=1) + "\n")
        del model


if __name__ == "__main__":
    main()
