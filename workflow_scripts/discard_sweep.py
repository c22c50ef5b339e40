"""Discard each kind of token, or as many random ones, after every layer: the answers to one shard's questions, by layer.

    python workflow_scripts/discard_sweep.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 10 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors --random 5 \\
        --discards '{"av_video": {"Audio": "audio", "Video": "video"}}' \\
        --out results/miniature/discard_sweep/tiny-omni/mini-video/0.parquet

`discards.sweep` is exact: a discard after layer l changes nothing before that layer. `All` discards every kind after the same
layer. `vision` discards all tokens of pictures; the layer of VTW (withdrawal of visual tokens) is chosen from its rows. The first
row of a question (control "null") discards nothing. It runs through the sweep's kernels and is the base of the other rows.
"""

import json

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.questions import first_of_tasks, read_questions
from avflow.tracing import VISION, Discard, clean_run, costs, discards, knockout, readout, row_schemas, shard_job


def kinds_of(discards: dict, setting: str) -> dict[str, list[str]]:
    """Name -> spans of a setting: each kind, `All` of them, and "vision". Raises InputError if the setting has no kinds."""
    if setting not in discards:
        raise InputError(f"config.yaml: pruning/kinds has no kinds of tokens for setting {setting}; add them")
    kinds = discards[setting]
    return {**{name: [span] for name, span in kinds.items()}, "All": list(kinds.values()), VISION: [VISION]}


def null_logits(model, run, length: int) -> torch.Tensor:
    """Logits (1, V) of the last token with nothing discarded, recomputed from the first layer on by the sweep's kernels."""
    return discards.continued(model, run, torch.tensor([length - 1]), length - 1, [-1], 1)


def sweep_all(model, question, features, arguments) -> list[dict]:
    """The rows of one question."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    layers, length = len(model.decoder.layers), len(sequence)
    after = [*range(0, layers - 1, arguments.stride), layers - 1]
    asked = []  # (name, control, draw, tokens)
    for name, spans in kinds_of(arguments.discards, question.setting).items():
        drops = discards.resolve(sequence, [Discard(span, 0) for span in spans], layers)
        if not drops:
            continue
        asked.append((name, "none", 0, drops[0].tokens))
        for draw in range(arguments.random if name != VISION else 0):
            asked.append((name, "random", draw, discards.random_drops(sequence, drops, arguments.seed, draw)[0].tokens))
    run = clean_run(model, sequence, min((int(tokens[0]) for *_, tokens in asked), default=length - 1))
    null = null_logits(model, run, length)
    plan, shape, head = knockout.plan(model), costs.shape_of(model.decoder.config), model.head.out_features
    swept = [discards.sweep(model, run, tokens, after, plan.rows) for *_, tokens in asked]
    # A discard after the last layer changes nothing, so the base stands in for it.
    logits = torch.cat([null, *(part for one in swept for part in (one[:-1], null))]).cpu()
    columns = readout.compare(sequence, logits, null.cpu().expand(len(logits), -1))
    columns["correct"] = readout.right(sequence, logits)
    shared = {**row_schemas.about(question, arguments.model), "n_tokens": length}
    what = [("none", -1, "null", 0, 0)]
    what += [(name, layer, control, draw, len(tokens)) for name, control, draw, tokens in asked for layer in after]
    rows = []
    for i, (name, layer, control, draw, gone) in enumerate(what):
        through = [length - gone * (number > layer) for number in range(layers)]
        row = {key: values[i] for key, values in columns.items()}
        row |= {"discard": name, "layer": layer, "control": control, "draw": draw, "n_discarded": gone}
        rows.append({**shared, **row, "flops_llm": costs.prefill_flops(shape, through, head)})
    return rows


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--discards", type=json.loads, required=True, help="setting -> name -> span, JSON")
    parser.add_argument("--first", type=int, help="use only the first n intervention questions of every task")
    parser.add_argument("--random", type=int, default=5, help="draws of size-matched random tokens")
    parser.add_argument("--stride", type=int, default=1, help="layers between neighbouring discards")
    arguments = parser.parse_args()
    chosen = first_of_tasks([q for q in read_questions(arguments.questions) if q.study_split == "knockout"], arguments.first)
    choose = lambda questions: [q for q in questions if q.question_id in chosen]
    work = lambda model, question, features, _: sweep_all(model, question, features, arguments)
    plan = {name: getattr(arguments, name) for name in ("discards", "random", "stride")}
    shard_job.run(__file__, arguments, row_schemas.DISCARD_SWEEP, choose, work, plan, asked={"first": arguments.first})


if __name__ == "__main__":
    cli.run(main)
