"""Discard each kind of token after every layer, in the questions of one shard, and as many random tokens: answers by layer.

    python workflow_scripts/discard_sweep.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 10 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors --random 5 \\
        --discards '{"av_video": {"Audio": "audio", "Video": "video"}}' \\
        --out results/miniature/discard_sweep/tiny-omni/mini-video/0.parquet

Exact, by `pruning.sweep`: what is discarded after layer l changes nothing before it. `All` discards every kind after the same
layer; `vision`, all tokens of pictures, is what the withdrawal of visual tokens (VTW) is chosen by. A question's first row,
control "null", discards nothing; its last token went through the same kernels as the sweep's, and is the base of the others.
"""

import json

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.questions import first_of_tasks, read_questions
from avflow.tracing import VISION, Discard, clean_run, costs, discards, knockout, readout, row_schemas, shard_job


def kinds_of(discards: dict, setting: str) -> dict[str, list[str]]:
    """Name -> spans, for a setting: each kind, All of them, and "vision". Raises InputError where the setting has none."""
    if setting not in discards:
        raise InputError(f"no kinds of tokens to discard are named for setting {setting}; add it to pruning/kinds")
    kinds = discards[setting]
    return {**{name: [span] for name, span in kinds.items()}, "All": list(kinds.values()), VISION: [VISION]}


def null_logits(model, run, length: int) -> torch.Tensor:
    """Logits (1, V) of the last token, recomputed from the first layer on by the sweep's kernels; nothing is discarded."""
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
    # Behind the last layer nothing is discarded: the base itself, by the same kernels.
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
    parser.add_argument("--first", type=int, help="only the first so many questions of every task that has interventions")
    parser.add_argument("--random", type=int, default=5, help="draws of as many random tokens")
    parser.add_argument("--stride", type=int, default=1, help="layers between those after which tokens are discarded")
    arguments = parser.parse_args()
    chosen = first_of_tasks([q for q in read_questions(arguments.questions) if q.study_split == "knockout"], arguments.first)
    choose = lambda questions: [q for q in questions if q.question_id in chosen]
    work = lambda model, question, features, _: sweep_all(model, question, features, arguments)
    plan = {name: getattr(arguments, name) for name in ("discards", "random", "stride")}
    shard_job.run(__file__, arguments, row_schemas.DISCARD_SWEEP, choose, work, plan, asked={"first": arguments.first})


if __name__ == "__main__":
    cli.run(main)
