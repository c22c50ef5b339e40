"""When and where in the clip does an answer come from? Cut the times and places of clips, in the questions of one shard.

    python workflow_scripts/where.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 10 --width 3 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors --targets question last \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --out results/miniature/where/tiny-omni/mini-video/0.parquet

Sources are slices of time of the sound and of the pictures, tiles of the picture at all times, and tiles in slices of time (see
avflow/tracing/clip_parts.py). Each is cut from every target, and so is the rest of its sense, which leaves it alone. Both are cut
in all layers at once (style top_down) and in windows of layers (centred). Rows are those of knockout.py, with these columns:

    source, part                the kind of part, and its name
    alone                       its rest is hidden, and not the part
    start, stop                 its time, in seconds
    left, top, right, bottom    its tile, as shares of the picture
    event_start, event_stop     the first known event of its sense, in seconds

Free questions are traced with the answer that they bring, or with the model's own reply.

With `--tokens`, a question also has rows with `cut` attention, one for each layer (`centre`), target and sense. They say where
the target looks, token by token: `values`, in the order of `shape` (grids, rows, columns; or tokens of sound), up to `stop`
seconds.

A question of tiny-omni has 2,000 cuts.
"""

from fnmatch import fnmatchcase

from avflow import cli
from avflow.errors import Unusable
from avflow.questions import first_of_tasks, read_questions
from avflow.tracing import (
    Knockout,
    Route,
    answered,
    clean_run,
    clip_parts,
    knockout,
    row_schemas,
    shard_job,
    windows,
)
from avflow.tracing.token_attention import token_attention

SENSES = {"audio": "audio.token", "video": "video.token"}  # sense -> the `source` of rows about attention to its tokens


def event(question, sense: str) -> dict:
    """When the question's first event of a sense begins and ends, as columns."""
    known = next((e for e in question.events if e["sense"] == sense), {})
    return {"event_start": known.get("start"), "event_stop": known.get("stop")}


def looks(model, question, sequence, clip, targets, home) -> list[dict]:
    """The rows about attention."""
    first = min(int(sequence.spans[target][0]) for target in targets)
    run, rows = clean_run(model, sequence, first, home), []
    for target in targets:
        by_layer = token_attention(model, run, sequence.spans[target])
        for sense, tokens, each in (("audio", clip.sound, clip.seconds[1]), ("video", clip.frames, clip.seconds[0])):
            for layer, shares in enumerate(by_layer if tokens.numel() else ()):
                told = {"route": f"{sense}->{target}", "cut": "attention", "control": "none", "centre": layer}
                told |= {"source": SENSES[sense], "start": 0.0, "stop": len(tokens) * each, **event(question, sense)}
                rows.append({**told, "shape": list(tokens.shape), "values": shares[tokens.flatten()].tolist()})
    return rows


def trace(model, question, features, partial, arguments) -> list[dict]:
    """All rows of one question: the null row, its cuts, and where it looks."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    if question.free:
        sequence = answered(model, sequence, arguments.reply_tokens)[0]
    clip = clip_parts.Clip.of(model, sequence, features)
    parts = clip.parts(arguments.times, arguments.tiles, arguments.cells)
    targets = [target for target in arguments.targets if len(sequence.spans[target])]
    if not parts or not targets:
        missing = "reader among its targets" if parts else "sound and no picture"
        raise Unusable("nothing_to_cut", f"question {question.question_id} has no {missing}")
    layers = len(model.decoder.layers)
    asked = [*windows(layers, 1, "top_down", layers), *windows(layers, arguments.width, stride=arguments.stride)]
    hidden = [(part, alone, part.name + clip_parts.REST * alone) for part in parts for alone in (False, True)]
    cuts = [(part, alone, Knockout(Route(name, t), w)) for t in targets for part, alone, name in hidden for w in asked]
    kept = partial.recall("batch plan")
    batches = (knockout.Plan(**kept) if kept else knockout.plan(model)) if arguments.engine == "sweep" else None
    found = knockout.rows(model, clip_parts.named(sequence, parts), [k for *_, k in cuts], batches, arguments.seed)
    rows = [found[0]]
    for (part, alone, _), row in zip(cuts, found[1:]):
        rows.append({**row, **part.columns, "alone": alone, **event(question, part.sense)})
    if arguments.tokens:
        rows += looks(model, question, sequence, clip, targets, batches and batches.home(model, len(sequence), 0))
    if batches and batches.as_dict() != kept:
        partial.remember("batch plan", batches.as_dict())
    shared = dict.fromkeys(row_schemas.WHERE.names) | row_schemas.about(question, arguments.model)
    right = {"correct_clean": found[0]["correct_clean"]}
    return [{**shared, **right, **row} for row in rows]


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--targets", nargs="+", required=True, help="spans that read the clip, such as question and last")
    parser.add_argument("--width", type=int, required=True, help="layers per window (the paper's k)")
    parser.add_argument("--stride", type=int, default=1, help="layers between neighbouring centres")
    parser.add_argument("--times", type=int, default=16, help="most slices of time")
    parser.add_argument("--tiles", type=int, default=64, help="most tiles of the picture")
    parser.add_argument("--cells", type=int, default=64, help="most tiles in slices of time")
    parser.add_argument("--tokens", action="store_true", help="also record where the targets look, token by token")
    parser.add_argument("--tasks", nargs="+", default=["*"], help="patterns of the tasks to ask (default: all)")
    parser.add_argument("--first", type=int, help="use only the first n questions of every task")
    parser.add_argument("--reply-tokens", type=int, default=32, help="most tokens of the model's own reply to a free question")
    parser.add_argument("--engine", choices=["sweep", "naive"], default="sweep", help="sweep: incremental; naive: full forwards")
    arguments = parser.parse_args()
    inside = [q for q in read_questions(arguments.questions) if q.study_split == "knockout"]
    inside = [q for q in inside if any(fnmatchcase(q.task, task) for task in arguments.tasks)]
    chosen = first_of_tasks(inside, arguments.first)
    choose = lambda questions: [q for q in questions if q.question_id in chosen]
    work = lambda model, question, features, partial: trace(model, question, features, partial, arguments)
    names = ("engine", "width", "stride", "targets", "times", "tiles", "cells", "tokens", "reply_tokens")
    plan = {name: getattr(arguments, name) for name in names}
    asked = {"first": arguments.first, "tasks": arguments.tasks}
    shard_job.run(__file__, arguments, row_schemas.WHERE, choose, work, plan, asked=asked, free=True)


if __name__ == "__main__":
    cli.run(main)
