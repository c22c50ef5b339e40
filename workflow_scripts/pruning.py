"""Discard tokens for good in the questions of one shard: Table 4's settings, controls and two published methods, with costs.

    python workflow_scripts/pruning.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --tasks 'hear' 'see' --first 40 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors \\
        --layers results/miniature/discard_layers/tiny-omni.json --random 5 --fastv '{"layer": 1, "keep": [0.5]}' --timed 2 \\
        --out results/miniature/pruning/tiny-omni/mini-video/0.parquet

There is one row per question and setting. `discard` names the setting:

    none      nothing: the base of the others
    <kind>    each kind of token after its layer
    All       all kinds, each after its own layer
    random    size-matched random tokens after the same layers as All
    FastV-k   all visual tokens but the share k that the last token attends to most (arXiv 2403.06764)
    VTW       all visual tokens after one layer (arXiv 2405.05803)

All settings run through the same code. It removes rows and masks nothing. Media are encoded here, from decoded frames and sound
(--frames), or from files that are decoded here, too (--decode, with the options of preprocess_media.py).

The first `timed` questions of every task and direction are timed on the device in use, in turns and after a warm-up: encoders,
prompt and one generated token. All other times are NaN.
"""

import fnmatch
import json
import math

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.questions import first_of_tasks, read_questions
from avflow.questions.decoded_media import DecodedMedia
from avflow.storage import provenance
from avflow.tracing import VISION, Discard, costs, discards, readout, row_schemas, shard_job, timing


def plans(sequence, layers: dict, fastv: dict, draws: int, seed: int, depth: int) -> list[tuple[str, int, dict]]:
    """(name, draw, drops) of every setting. layers: kind -> {tokens, layer}, including VTW."""
    kinds = {kind: Discard(about["tokens"], about["layer"]) for kind, about in layers.items() if kind != "VTW"}
    resolve = lambda *some: discards.resolve(sequence, list(some), depth)  # noqa: E731
    together = resolve(*kinds.values())
    found = [("none", 0, {}), *((kind, 0, resolve(discard)) for kind, discard in kinds.items()), ("All", 0, together)]
    found += [("random", draw, discards.random_drops(sequence, together, seed, draw)) for draw in range(draws)]
    found += [(f"FastV-{keep:g}", 0, resolve(Discard(VISION, fastv["layer"], keep))) for keep in fastv["keep"]]
    return [*found, ("VTW", 0, resolve(Discard(VISION, layers["VTW"]["layer"])))]


def encode(model, question, media: dict) -> dict[str, dict]:
    """media_id -> encoder outputs. media: media_id -> {frames, fps, audio}, whichever of these a medium has."""
    kinds, found = {m.media_id: m.kind for m in question.media}, {}
    for media_id, stored in media.items():
        stored = {name: stored[name] for name in ("frames", "fps", "audio") if name in stored}
        if "fps" in stored:
            stored["fps"] = float(stored["fps"])
        found[media_id] = model.encode(kinds[media_id], **stored)
    return found


def times(model, sequence, asked, repeats: int) -> dict:
    """(name, draw) -> columns of a setting's time and memory. Random draws are left out, because they cost the same as All."""
    timed = {(name, draw): drops for name, draw, drops in asked if name != "random"}
    runs = {key: (lambda drops=drops: discards.prefill(model, sequence, drops)) for key, drops in timed.items()}
    position, steps, warm = discards.following(sequence), {}, timing.WARM_UP[model.device.type]
    for key, run in runs.items():
        state = run()  # one of the untimed runs, too
        token = state.logits.argmax()[None]
        steps[key] = lambda cache=state.cache, token=token: discards.decode(model, cache.copy(), token, position)
    decoded, found = timing.in_turns(steps, model.device, repeats), {}
    steps.clear()
    prefills = timing.in_turns(runs, model.device, repeats, warm - 1)
    for key, (median, low, high) in prefills.items():
        found[key] = {"prefill_ms": median, "prefill_ms_low": low, "prefill_ms_high": high}
        found[key] |= {"decode_ms_per_token": decoded[key][0], "peak_bytes": timing.peak_bytes(runs[key], model.device)}
    return found


def discard_all(model, question, media, arguments, timed: set) -> list[dict]:
    """The rows of one question."""
    sequence = model.sequence(question, encode(model, question, media), arguments.spans.get(question.setting))
    layers = json.loads(arguments.layers.read_text())
    if question.setting not in layers:
        raise InputError(f"{arguments.layers}: no layers for setting {question.setting}; delete the file and run again")
    depth = len(model.decoder.layers)
    asked = plans(sequence, layers[question.setting], arguments.fastv, arguments.random, arguments.seed, depth)
    kept = lambda state: (state.logits, state.rows, state.cache.bytes)
    logits, passed, held = zip(*discards.prefill_all(model, sequence, [drops for *_, drops in asked], kept))
    logits = torch.stack(logits).cpu()
    columns = readout.compare(sequence, logits, logits[:1].expand(len(logits), -1))
    columns["correct"] = readout.right(sequence, logits)
    taken, encoding = {}, math.nan
    if question.question_id in timed:
        taken = times(model, sequence, asked, arguments.repeats)
        encoders = {"encoders": lambda: encode(model, question, media)}
        encoding = timing.in_turns(encoders, model.device, arguments.repeats)["encoders"][0]
    shape, shared = (
        costs.shape_of(model.decoder.config),
        {**row_schemas.about(question, arguments.model), "n_tokens": len(sequence)},
    )
    nothing = dict.fromkeys(("prefill_ms", "prefill_ms_low", "prefill_ms_high", "decode_ms_per_token"), math.nan) | {
        "peak_bytes": None
    }
    shared["device"] = torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu"
    rows = []
    for i, (name, draw, drops) in enumerate(asked):
        row = {key: values[i] for key, values in columns.items()}
        through = passed[i]
        row |= {"discard": name, "draw": draw, "plan": json.dumps({layer: drop.count for layer, drop in sorted(drops.items())})}
        row |= {"n_discarded": sum(drop.count for drop in drops.values()), "token_layers": sum(through), "kv_bytes": held[i]}
        row |= {"flops_llm": costs.prefill_flops(shape, through, model.head.out_features), "encoder_ms": encoding}
        rows.append({**shared, **row, **taken.get((name, draw), nothing)})
    return rows


def main():
    parser = shard_job.parser(__doc__, reads="frames", decoder=DecodedMedia.of_options)
    parser.add_argument("--layers", type=cli.made_by("the rule discard_layers"), required=True, help="chosen layers, JSON")
    parser.add_argument("--tasks", nargs="+", default=["*"], help="patterns of the tasks to use")
    parser.add_argument("--first", type=int, help="use only the first n questions of every task")
    parser.add_argument("--random", type=int, default=5, help="draws of random tokens, as many as All discards")
    parser.add_argument("--fastv", type=json.loads, default={"layer": 1, "keep": [0.5]}, help="layer, and shares to keep, JSON")
    parser.add_argument("--timed", type=int, default=2, help="questions of every task and direction to time")
    parser.add_argument(
        "--repeats", type=int, default=timing.REPEATS, help="times each prefill, generated token and encoding is timed"
    )
    arguments = parser.parse_args()
    used = [q for q in read_questions(arguments.questions) if any(fnmatch.fnmatchcase(q.task, task) for task in arguments.tasks)]
    tasks = sorted({q.task for q in read_questions(arguments.questions)})
    for pattern in arguments.tasks:
        if not any(fnmatch.fnmatchcase(task, pattern) for task in tasks):
            raise InputError(
                f"config.yaml: discards has the pattern {pattern!r} for {arguments.questions.stem}, which matches no task;"
                f" its tasks: {', '.join(tasks)}"
            )
    chosen = first_of_tasks(used, arguments.first)
    choose = lambda questions: [q for q in questions if q.question_id in chosen]
    alike = {}
    for question in used:
        if question.question_id in chosen:
            alike.setdefault((question.task, question.group), []).append(question.question_id)
    timed = {i for ids in alike.values() for i in ids[: arguments.timed]}

    work = lambda model, question, media, _: discard_all(model, question, media, arguments, timed)
    plan = {name: getattr(arguments, name) for name in ("tasks", "first", "random", "fastv", "repeats")}
    plan["timed"] = [q.question_id for q in used if q.question_id in timed and q.shard(arguments.shards) == arguments.shard]
    plan["layers"] = provenance.file_hash(arguments.layers)
    shard_job.run(__file__, arguments, row_schemas.PRUNING, choose, work, plan)


if __name__ == "__main__":
    cli.run(main)
