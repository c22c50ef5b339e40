"""Compare a whole sweep of knockouts with full forwards, on decoders of the real shapes with random weights.

    python benchmarks/knockout.py --out benchmarks/knockout.json          on one GPU, about 5 minutes
    python benchmarks/knockout.py --smoke --out /tmp/knockout.json        small shapes on a CPU, to see that it runs

Every case runs in one process. Times are medians after a warm-up:

    clean_ms        one clean forward
    clean_plain_ms  the same with the RMS norms of transformers, several operations each
    sdpa_s          full forwards under explicit boolean masks, with sdpa
    sdpa_window_s   the same with the mask only inside the window and the causal kernel elsewhere: the best that full forwards can
                    do, but base and cut then come from different kernels
    sdpa_skip_s     the same from the window's first layer on only: every cut starts from the clean run's states there
    eager_s         full forwards with eager attention and an additive mask per head, as published tools do
    sweep_s         the sweep with its clean run
    rows_s          what the workflow needs per question: the sweep, the share of attention that each cut removes, and the readout
    pair_s          rows_s for two questions about one clip that are asked together, per question

Cases whose name ends in "heads" cut each head of every layer alone, in windows of one layer. A case with `reply` scores a free
answer of that many tokens, of which all but the last are rows.

Full forwards are timed on one knockout and multiplied by the number of knockouts (`extrapolated`); if layers are skipped, on one
knockout for every sixth window. `ideal` counts the rows that
must be recomputed in any case, in clean forwards, with the clean run. Errors are relative to the largest logit. Errors with fp32
in their name compare with the same knockouts and weights in fp32.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniTextConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniThinkerTextModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from avflow.models import Sequence, Spans, fused_norms, with_reply
from avflow.questions import MediaItem, Option, Question
from avflow.tracing import Knockout, Route, decoder, knockout, packs, windows

SHAPES = {  # hidden, layers, heads, kv heads, intermediate, vocabulary (from the checkpoints' config.json)
    "7B": (3584, 28, 28, 4, 18944, 152064),
    "3B": (2048, 36, 16, 2, 11008, 151936),
    "30B-A3B": (2048, 48, 32, 4, 768, 152064),
    "tiny": (64, 6, 4, 2, 128, 512),
    "tiny experts": (64, 6, 4, 2, 32, 512),
}
EXPERTS = {"30B-A3B": (128, 8), "tiny experts": (8, 2)}  # experts, and how many of them a token goes through
SIX = ["audio->last", "video->last", "question->last", "tail->last", "audio->question", "video->question"]
FIGURE_3 = ["cross_frame", "cross_audio_segment", "audio<->video"]
LAST = ["question->last"]
INTO_REPLY = ["audio->question", "video->question", "question->last", "video->reply", "question->reply", "reply->reply"]
REPLY = 20  # tokens
CASES = [
    ("7B, 6 routes", "7B", 3000, SIX),
    ("7B, reply", "7B", 3000, INTO_REPLY),
    ("3B, 6 routes", "3B", 3000, SIX),
    ("30B-A3B, 6 routes", "30B-A3B", 3000, SIX),
    ("7B, Figure 3", "7B", 3000, FIGURE_3),
    ("7B, each of 784 heads", "7B", 3000, LAST),
    ("7B, 6 routes, 8k", "7B", 8000, SIX),
    ("7B, 6 routes, 11k", "7B", 11000, SIX),
    ("7B, 6 routes, 16k", "7B", 16000, SIX),
]


SKIPPED = 6  # layers are skipped in every sixth knockout only


def build(shape: str, device, dtype):
    """A decoder with random weights whose attention is sharp enough that cuts matter."""
    hidden, layers, heads, kv_heads, intermediate, vocabulary = SHAPES[shape]
    settings, network, head = Qwen2_5OmniTextConfig, Qwen2_5OmniThinkerTextModel, hidden // heads
    own = dict(rope_parameters=dict(mrope_section=[head // 8, 3 * head // 16, 3 * head // 16]), use_sliding_window=False)
    if shape in EXPERTS:
        from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeTextConfig
        from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeThinkerTextModel

        settings, network, head = Qwen3OmniMoeTextConfig, Qwen3OmniMoeThinkerTextModel, 2 * head
        experts, chosen = EXPERTS[shape]
        own = dict(num_experts=experts, num_experts_per_tok=chosen, moe_intermediate_size=intermediate, head_dim=head)
        own["rope_parameters"] = dict(
            mrope_section=[head // 2 - 2 * (5 * head // 32), 5 * head // 32, 5 * head // 32], interleaved=True
        )
    own["rope_parameters"] |= dict(rope_type="default", rope_theta=1e6)
    config = settings(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=intermediate,
        vocab_size=vocabulary,
        **own,
    )
    torch.manual_seed(0)
    with torch.device("meta"):
        made = network._from_config(config, attn_implementation="sdpa", dtype=dtype)
        out = torch.nn.Linear(hidden, vocabulary, bias=False, dtype=dtype)
    made.to_empty(device=device)
    out.to_empty(device=device)
    made.rotary_emb = type(made.rotary_emb)(config).to(device)
    g = torch.Generator(device).manual_seed(0)
    for name, p in [*made.named_parameters(), *out.named_parameters()]:
        if p.dim() == 1:
            p.data.fill_(1.0 if name.endswith("norm.weight") or "layernorm" in name else 0.0)
        else:
            p.data.normal_(0, (1.5 if "q_proj" in name or "k_proj" in name else 1.0) * p.shape[-1] ** -0.5, generator=g)
    made.eval().requires_grad_(False)
    fused_norms.use(made, torch.device(device), dtype)
    return SimpleNamespace(decoder=made, head=out, device=torch.device(device), dtype=dtype, folder=shape, max_tokens=None)


def sequence(model, tokens: int, question_seed: int = 1, reply: int = 0) -> Sequence:
    """A sequence: 20 system tokens, `tokens` in alternating blocks of 50 video and 50 audio, 80 question, 4 tail, 1 last.

    question_seed: another one gives another question about the same clip. reply: tokens of a free answer.
    """
    labels, parts = ["system"] * 20, {}
    for block in range(tokens // 50):
        kind, part = ("audio", "audio_segment") if block % 2 else ("video", "frame")
        parts[f"{part}_{block // 2}"] = list(range(len(labels), len(labels) + 50))
        labels += [kind] * 50
    labels += ["question_text"] * 80 + ["tail"] * 4 + ["last"]
    spans = Spans(labels, parts, {"question": ["question_text", "tail"]})
    g = torch.Generator(model.device).manual_seed(1)
    embeds = torch.randn(len(labels), model.decoder.config.hidden_size, generator=g, device=model.device).to(model.dtype)
    g.manual_seed(question_seed)
    embeds[-85:] = torch.randn(85, embeds.shape[1], generator=g, device=model.device).to(model.dtype)
    positions = torch.arange(len(labels)).expand(3, -1)
    options = () if reply else tuple(Option(x, x) for x in "ABCD")
    media = (MediaItem("v1", "clip", "video", "video", "clip.mp4", 1),)
    layout = ({"seg": "media", "id": "v1"}, {"seg": "question", "text": "?"}, *([] if reply else [{"seg": "options"}]))
    answer = "words" if reply else "A"
    question = Question(
        "q", "bench", "av_video", "paper_eq1", "t", "t", "AV", "?", options, answer, media, layout, None, "knockout", ()
    )
    ids, letters = torch.zeros(len(labels), dtype=torch.int64), torch.tensor([] if reply else [32, 33, 34, 35]).long()
    made = Sequence(question, ids, embeds, positions, spans, letters, torch.empty(0, dtype=torch.int64))
    return with_reply(model, made, list(range(100, 100 + reply))) if reply else made


def seconds(work, repeats: int, device) -> float:
    """Median seconds of `repeats` calls, after one warm-up call."""
    found = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])


@contextlib.contextmanager
def unfused(model):
    """Within it, the decoder's norms are those of transformers."""
    fused = {module: vars(module).pop("forward") for module in model.decoder.modules() if "forward" in vars(module)}
    yield
    for module, forward in fused.items():
        module.forward = forward


def full_forwards(model, seq, knockouts, edges, kind: str):
    """A function that runs one knockout by a full forward.

    kind: "sdpa" masks every layer, "window" masks only inside the window, "skip" also begins there, from a clean run's states
    (every sixth knockout); "eager" uses an additive mask per head.
    """
    if kind == "skip":
        return skipping(model, seq, knockouts[::SKIPPED], edges)
    k = knockouts[len(knockouts) // 2]
    length, layers = len(seq), len(model.decoder.layers)
    open_mask = decoder.causal_mask(length, model.device)
    cut = closed_mask(model, open_mask, k, edges)
    inside = [k.window.covers(layer) for layer in range(layers)]
    if kind == "sdpa":
        masks = [cut if here else open_mask[None, None] for here in inside]
    elif kind == "window":
        masks = [cut if here else None for here in inside]
    else:
        heads = model.decoder.config.num_attention_heads
        lowest = torch.finfo(model.dtype).min
        closed, opened = (
            torch.zeros(1, heads, length, length, dtype=model.dtype, device=model.device).masked_fill_(~m, lowest)
            for m in (cut, open_mask)
        )
        masks = [closed if here else opened for here in inside]

    @torch.inference_mode()
    def run():
        x = seq.embeds[None]
        rotated = decoder.rotary(model, seq.positions[:, None], x)
        for layer, mask in zip(model.decoder.layers, masks):
            x = layer(x, attention_mask=mask, position_embeddings=rotated)
        return decoder.answer_logits(model, seq, x)

    return run


def closed_mask(model, open_mask, k, edges):
    """A knockout's mask inside its window: (1, 1, S, S), or (1, heads, S, S) if it cuts some heads only."""
    closed = open_mask & ~edges[k.target].cut(torch.arange(len(open_mask)), len(open_mask)).to(model.device)
    if not k.heads:
        return closed[None, None]
    heads = torch.zeros(model.decoder.config.num_attention_heads, dtype=torch.bool, device=model.device)
    heads[k.heads_in(k.window.start)] = True
    return torch.where(heads[:, None, None], closed, open_mask)[None]


def skipping(model, seq, knockouts, edges):
    """A function that runs each of the knockouts by masked forwards from its window's first layer on, one after another."""
    length, clean = len(seq), decoder.clean_run(model, seq)
    open_mask = decoder.causal_mask(length, model.device)
    closed = {(k.target, k.heads): closed_mask(model, open_mask, k, edges) for k in knockouts}

    @torch.inference_mode()
    def run():
        for k in knockouts:
            x = clean.inputs[k.window.start][None]
            for number in range(k.window.start, len(clean.inputs)):
                mask = closed[k.target, k.heads] if k.window.covers(number) else None
                x = model.decoder.layers[number](x, attention_mask=mask, position_embeddings=(clean.cos, clean.sin))
            decoder.answer_logits(model, seq, x)

    return run


def measure(name, model, tokens: int, routes, width: int, repeats: int, wide=None) -> dict:
    """The results of one case. wide: the same model in fp32, the reference for errors."""
    reply = REPLY if routes is INTO_REPLY else 0
    seq, device, layers = sequence(model, tokens, reply=reply), model.device, len(model.decoder.layers)
    if name.endswith("heads"):
        heads = range(model.decoder.config.num_attention_heads)
        alone = [(w, ((w.start, head),)) for w in windows(layers, 1) for head in heads]
        knockouts = [Knockout(Route.parse(r), w, heads=pairs) for r in routes for w, pairs in alone]
    else:
        knockouts = [Knockout(Route.parse(r), w) for r in routes for w in windows(layers, width)]
    edges = knockout.resolve(seq, knockouts)
    first, length = knockout.first_row(seq, edges), len(seq)
    packs.uncut_answers(model, [seq])
    batches = knockout.plan(model)

    def sweep():
        return knockout.sweep(model, seq, decoder.clean_run(model, seq, first), knockouts, edges, batches)

    case = {"case": name, "model": model.folder, "tokens": length, "routes": routes, "interventions": len(knockouts)}
    case |= {"reply": reply} if reply else {}
    case["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    case |= {"dtype": str(model.dtype).removeprefix("torch."), "torch": torch.__version__}
    case["clean_ms"] = 1000 * seconds(lambda: packs.uncut_answers(model, [seq]), 2 * repeats, device)
    with unfused(model):
        case["clean_plain_ms"] = 1000 * seconds(lambda: packs.uncut_answers(model, [seq]), 2 * repeats, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    case["sweep_s"] = seconds(sweep, repeats, device)
    case["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None
    case["rows_s"] = seconds(lambda: knockout.rows(model, seq, knockouts, batches), repeats, device)
    pair = [seq, sequence(model, tokens, 2, reply)]
    both = seconds(lambda: knockout.rows_of_questions(model, pair, [knockouts] * 2, batches), repeats, device)
    case["pair_s"] = both / 2
    for kind in ("sdpa", "window", "skip", "eager"):
        key = {"sdpa": "sdpa_s", "window": "sdpa_window_s", "skip": "sdpa_skip_s", "eager": "eager_s"}[kind]
        implementation = model.decoder.config._attn_implementation
        try:
            run = full_forwards(model, seq, knockouts, edges, kind)
            model.decoder.config._attn_implementation = "eager" if kind == "eager" else implementation
            timed = len(knockouts[::SKIPPED]) if kind == "skip" else 1
            case[key] = len(knockouts) / timed * seconds(run, 1 if kind == "skip" else max(5, repeats), device)
        except torch.cuda.OutOfMemoryError:
            case[key] = None  # does not fit into the GPU's memory
        finally:
            model.decoder.config._attn_implementation = implementation
            run = None
            if device.type == "cuda":
                torch.cuda.empty_cache()
    case["extrapolated"] = True
    jobs = {(k.target, k.window.start, k.window.stop, k.heads) for k in knockouts}
    recomputed = sum((length - int(edges[t].queries()[0])) * (layers - start) for t, start, *_ in jobs)
    clean = case["clean_ms"] / 1000
    case |= {"ideal": 1 + recomputed / (length * layers), "clean_forwards": case["sweep_s"] / clean, "plan": batches.as_dict()}
    for key in ("sdpa_s", "sdpa_window_s", "sdpa_skip_s", "eager_s"):
        case[key.removesuffix("_s") + "_x"] = case[key] / case["sweep_s"] if case[key] else None
    if length <= 4000:
        some = knockouts[:: max(1, len(knockouts) // 12)]
        swept = torch.stack(sweep()[0].split(1))[:: max(1, len(knockouts) // 12), 0]
        full, _ = knockout.naive(model, seq, some, edges, 2)
        case["max_rel_err"] = ((swept - full).abs().max() / full.abs().max()).item()
        if wide:
            true, base = knockout.naive(wide, Sequence(**{**vars(seq), "embeds": seq.embeds.float()}), some, edges, 2)
            size = true.abs().max()
            case["max_rel_err_fp32"] = {"sweep": ((swept - true).abs().max() / size).item()}
            case["max_rel_err_fp32"]["naive"] = ((full - true).abs().max() / size).item()
            case["mean_rel_err_fp32"] = {
                n: ((x - true).abs().mean() / size).item() for n, x in (("sweep", swept), ("naive", full))
            }
            case["max_rel_effect"] = ((true - base).abs().max() / size).item()
    else:
        case["max_rel_err"] = None
    return case


def widened(model):
    """The model with the same weights in fp32."""
    wide = build(model.folder, model.device, torch.float32)
    for mine, theirs in ((wide.decoder, model.decoder), (wide.head, model.head)):
        for a, b in zip(mine.parameters(), theirs.parameters()):
            a.data.copy_(b.data)
    return wide


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--smoke", action="store_true", help="small shapes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cases", nargs="*", help="only cases whose name contains one of these; others of --out stay")
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available() and not arguments.smoke
    device, dtype = ("cuda", torch.bfloat16) if cuda else ("cpu", torch.float32)
    small = {"6 routes": SIX, "Figure 3": FIGURE_3, "each of 24 heads": LAST, "reply": INTO_REPLY}
    small = [(f"tiny, {name}", "tiny", 200, routes) for name, routes in small.items()]
    cases = [*small, ("tiny experts, 6 routes", "tiny experts", 200, SIX)] if arguments.smoke else CASES
    if arguments.cases:
        cases = [c for c in cases if any(word in c[0] for word in arguments.cases)]
    found = json.loads(arguments.out.read_text()) if arguments.cases and arguments.out.exists() else []
    model = None
    for name, shape, tokens, routes in cases:
        if model is None or model.folder != shape:
            model = None
            model = build(shape, device, dtype)
        found = [case for case in found if case["case"] != name]
        found.append(measure(name, model, tokens, routes, 3 if arguments.smoke else 7, arguments.repeats))
        if cuda and tokens <= 4000 and routes in (SIX, LAST) and shape not in EXPERTS:  # experts in fp32 do not fit beside them
            wide = widened(model)
            found[-1] |= {
                k: v for k, v in measure(name, model, tokens, routes, 7, 1, wide).items() if "fp32" in k or "effect" in k
            }
            del wide
        print(json.dumps(found[-1]), flush=True)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
