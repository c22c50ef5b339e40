"""Where the last token looks, sinks, what each layer would answer, and answers with attention masked in the last layers.

    python workflow_scripts/attention.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 30 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --spans '{"av_video": {"text": ["instruction", "question_text", "options", "tail", "last"]}}' \\
        --masked '["video->last", "video->text"]' --change '{"route": "audio->question", "layers": [0, 0.67]}' \\
        --out results/miniature/attention/tiny-omni/mini-video/0.parquet

Each question has one clean run. The masked answers and the maps recompute layers with a cut. `kind` says what a row holds:

    kind             name            number                            values
    shares           class of token                                    attention of the last token, one value per head
    lens                              place of the right option        log-probability of every option's letter after the layer
    tokens           class of token  first tokens of frames and items  number of tokens
    sink_dimensions                                                    dimensions
    sinks            class of token  first tokens of frames and items  positions of the sinks
    masked           route, or none  cut edges                         log-probability of the uncut answer
    masked_early     the same, masked from an early layer on: a positive control

The first `--maps` questions of every task also have:

    bins             class of token  bin                               its first position and the one after its last
    map              uncut or cut    bin of the queries                attention to each bin of keys
    norms                                                              L2 norm by position, of the layer's input
    activations      first, median                                     |x / RMS(x)| by dimension, of position 0 or the median

`layer` is the layer, or the first masked one. `answer` and `correct` belong to the rows of `masked` and `masked_early`.
`correct_clean` says whether the uncut answer is right.
"""

import argparse
import json

import torch

from avflow import cli
from avflow.questions import first_of_tasks, read_questions
from avflow.tracing import (
    Route,
    as_range,
    attention_maps,
    bin_classes,
    clean_run,
    first_tokens,
    knockout,
    last_logits,
    last_token,
    late_layers,
    readout,
    row_schemas,
    shard_job,
    sink_spans,
    sinks,
)
from avflow.tracing.token_classes import CLASSES, token_classes


def last_token_rows(model, sequence, run) -> list[dict]:
    """The rows of `shares` and `lens`."""
    shares = last_token.attention_shares(model, sequence, run)
    lens = last_token.option_log_probabilities(sequence, last_token.logit_lens(model, run))
    present = [(c, name) for c, name in enumerate(CLASSES) if bool((token_classes(sequence.spans) == c).any())]
    rows = [
        dict(kind="shares", name=name, layer=layer, values=heads[c].tolist())
        for layer, heads in enumerate(shares)
        for c, name in present
    ]
    right = [o.label for o in sequence.question.options].index(sequence.question.answer)
    return rows + [dict(kind="lens", layer=layer, number=right, values=one.tolist()) for layer, one in enumerate(lens)]


def sink_rows(sequence, run) -> list[dict]:
    """The sink dimensions and sink tokens of each layer, and the number of tokens in each class."""
    kinds, first = token_classes(sequence.spans), first_tokens(sequence.spans)
    rows = []
    for c, name in enumerate(CLASSES):
        if count := int((kinds == c).sum()):
            rows.append(dict(kind="tokens", name=name, number=int(first[kinds == c].sum()), values=[count]))
    for layer, (dimensions, positions) in enumerate(sink_spans.by_layer(run)):
        rows.append(dict(kind="sink_dimensions", layer=layer, values=dimensions.tolist()))
        for c, name in enumerate(CLASSES):
            here = positions[kinds[positions] == c]
            if len(here):
                rows.append(dict(kind="sinks", name=name, layer=layer, number=int(first[here].sum()), values=here.tolist()))
    return rows


def map_rows(model, sequence, run, arguments) -> list[dict]:
    """Pooled maps with and without the cut, and the norms and activations of each layer."""
    cuts, layers = [], len(run.inputs)
    if arguments.change:
        cuts = [(Route.parse(arguments.change["route"]), as_range(layers, arguments.change["layers"]))]
    maps, _ = attention_maps(model, sequence, cuts, arguments.bins)
    rows = [
        dict(kind="bins", name=name, number=number, values=[start, stop])
        for number, (name, start, stop) in enumerate(bin_classes(sequence, arguments.bins))
    ]
    for name, variant in zip(("uncut", "cut"), maps):
        for layer, square in enumerate(variant):
            rows += [dict(kind="map", name=name, layer=layer, number=n, values=line.tolist()) for n, line in enumerate(square)]
    for layer in range(layers):
        states = run.states(layer, 0)
        activation = sinks.activations(states)
        rows.append(dict(kind="norms", layer=layer, values=states.float().norm(dim=-1).tolist()))
        for name, one in (("first", activation[0]), ("median", activation.median(0).values)):
            rows.append(dict(kind="activations", name=name, layer=layer, values=one.tolist()))
    return rows


@torch.inference_mode()
def look(model, question, features, partial, arguments, mapped: set) -> list[dict]:
    """All rows of one question."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    kept = partial.recall("batch plan")
    batches = knockout.Plan(**kept) if kept else knockout.plan(model)
    run = clean_run(model, sequence, 0, batches.home(model, len(sequence), 0))
    right = int(last_logits(model, run.final[-1:])[0].argmax()) == readout.gold_id(sequence)
    rows = last_token_rows(model, sequence, run) + sink_rows(sequence, run)
    if arguments.masked:
        window = late_layers.late_window(len(run.inputs), arguments.masked_layers)
        masked = late_layers.masked_answers(model, sequence, run, arguments.masked, window, batches)
        rows += [dict(kind="masked", layer=window.start, **row) for row in masked]
    if arguments.masked_early:
        window = late_layers.window_from(len(run.inputs), arguments.masked_early["from"])
        masked = late_layers.masked_answers(model, sequence, run, arguments.masked_early["routes"], window, batches)
        rows += [dict(kind="masked_early", layer=window.start, **row) for row in masked]
    if batches.as_dict() != kept:
        partial.remember("batch plan", batches.as_dict())
    if question.question_id in mapped:
        rows += map_rows(model, sequence, run, arguments)
    shared = row_schemas.about(question, arguments.model) | {"gold": question.answer, "correct_clean": right}
    empty = dict.fromkeys(row_schemas.ATTENTION.names)
    return [{**empty, **shared, **row} for row in rows]


def change(text: str) -> dict:
    """Read the cut of the second set of maps. Raises ArgumentTypeError with the value and an allowed one."""
    try:
        found = json.loads(text)
        first, last = found["layers"]
        fits = set(found) == {"route", "layers"} and 0 <= first < last <= 1
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        wanted = 'a route and two shares of the depth, such as {"route": "audio->question", "layers": [0, 0.67]}'
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read; write {wanted}")
    return found


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--first", type=int, help="use only the first n questions of every task")
    parser.add_argument("--maps", type=int, default=0, help="keep maps, norms and activations of the first n of every task")
    parser.add_argument("--bins", type=int, default=64, help="bins of positions in a map")
    parser.add_argument("--masked", type=json.loads, default=[], help="routes to mask in the last layers, JSON")
    parser.add_argument(
        "--masked-layers", type=int, nargs=2, metavar=("FIRST", "LAST"), help="default: the last 5/36 of the layers"
    )
    parser.add_argument(
        "--masked-early", type=json.loads, help='positive control, JSON: {"routes": [..], "from": share of the depth}'
    )
    parser.add_argument("--change", type=change, help="the cut of the second set of maps, JSON")
    arguments = parser.parse_args()
    every = read_questions(arguments.questions)
    chosen, mapped = first_of_tasks(every, arguments.first), first_of_tasks(every, arguments.maps)
    choose = lambda questions: [q for q in questions if q.question_id in chosen]
    work = lambda model, question, features, partial: look(model, question, features, partial, arguments, mapped)
    plan = {name: getattr(arguments, name) for name in ("bins", "masked", "masked_layers", "masked_early", "change")}
    plan["maps"] = [q.question_id for q in every if q.question_id in mapped and q.shard(arguments.shards) == arguments.shard]
    shard_job.run(__file__, arguments, row_schemas.ATTENTION, choose, work, plan, asked={"first": arguments.first})


if __name__ == "__main__":
    cli.run(main)
