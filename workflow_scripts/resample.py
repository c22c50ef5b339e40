"""Patch routes with another clip's keys and values, window by window, in the questions of one shard, in both directions.

    python workflow_scripts/resample.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 4 --width 3 --stride 4 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors --routes 'audio->question' 'video->question' \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --out results/miniature/resample/tiny-omni/mini-video/0.parquet

Each question has a partner in its shard, chosen by the seed: a question of the same task with another right answer, which is
among the question's options if any such partner is there. The partner's media are encoded on the grid and length of the
question's own. The question is asked about both. In a window of layers, the route's target then attends to the source's keys and
values of the other run:

    corrupt   the partner's source in a run on the question's own media: is the answer lost, and does it follow the patch?
    restore   the question's own source in a run on the partner's media: does the answer come back?

A question without a partner has no rows. Rows are those of knockout.py with `cut` resample, and further columns: `direction`,
`partner`, `partner_answer` (the label of the partner's right answer among this question's options, or empty), and the
log-probabilities of both answers' labels, without the patch (`logp_gold_clean`, `logp_partner_clean`) and with it
(`logp_gold`, `logp_partner`).
"""

from avflow import cli
from avflow.questions import pairs
from avflow.tracing import Knockout, Route, knockout, paired, resampling, row_schemas, windows


def patch(model, question, other, media, arguments, partial) -> list[dict]:
    """The rows of one question, corrupt before restore, each direction with its null row."""
    pair = paired.pair(model, question, other, *media, arguments.spans.get(question.setting))
    runs = pair.own, pair.other
    asked = windows(len(model.decoder.layers), arguments.width, stride=arguments.stride)
    ks = [Knockout(route, window, "resample") for route in arguments.routes for window in asked]
    kept = partial.recall("batch plan")
    batches = (knockout.Plan(**kept) if kept else knockout.plan(model)) if arguments.engine == "sweep" else None
    shared = {**row_schemas.about(question, arguments.model), "partner": other.question_id}
    label, found = pairs.label_in(question, other), []
    for direction, (run, source) in {"corrupt": runs, "restore": runs[::-1]}.items():
        rows = knockout.rows(model, run, ks, batches, arguments.seed, source)
        told = {**shared, "direction": direction, "partner_answer": label}
        found += [{**told, **row, **scores} for row, scores in zip(rows, resampling.scores(question, label, rows))]
    if batches and batches.as_dict() != kept:
        partial.remember("batch plan", batches.as_dict())
    return found


def main():
    parser = paired.parser(__doc__)
    parser.add_argument("--routes", type=Route.parse, nargs="+", required=True, help="routes to patch")
    paired.run(__file__, parser.parse_args(), row_schemas.RESAMPLE, patch)


if __name__ == "__main__":
    cli.run(main)
