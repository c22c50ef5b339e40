"""Keep only those routes open that the knockouts found, in the questions of one shard; as a control, as many random edges.

    python workflow_scripts/sufficiency.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 1 --first 10 --draws 1 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --evaluate results/miniature/evaluate/tiny-omni/mini-video/0.parquet --width 3 --thresholds 1 5 20 \\
        --knockouts results/miniature/tables/knockout_figure_4.parquet \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --out results/miniature/sufficiency/tiny-omni/mini-video/0.parquet

It uses the questions that the model answers correctly, among the first n intervention questions of every task.
"""

from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli
from avflow.questions import first_of_tasks, read_questions
from avflow.storage import provenance
from avflow.tracing import row_schemas, shard_job, sufficiency


def choose(questions, arguments) -> list:
    """The questions of a shard to use."""
    table = pq.read_table(arguments.evaluate, columns=["question_id", "correct"])
    correct = dict(zip(*(table[n].to_pylist() for n in ("question_id", "correct"))))
    chosen = first_of_tasks([q for q in read_questions(arguments.questions) if q.study_split == "knockout"], arguments.first)
    return [q for q in questions if q.question_id in chosen and correct.get(q.question_id)]


def main():
    parser = shard_job.parser(__doc__)
    parser.add_argument("--evaluate", type=cli.made_by("the rule evaluate"), required=True, help="this shard's answers")
    parser.add_argument("--knockouts", type=Path, nargs="+", required=True, help="tables from which the routes are found")
    parser.add_argument("--width", type=int, required=True, help="read only windows of this many layers")
    parser.add_argument(
        "--thresholds", type=float, nargs="+", required=True, help="a route is found if its cut loses this %% of probability"
    )
    parser.add_argument("--draws", type=int, default=1, help="random choices of edges per threshold")
    parser.add_argument("--first", type=int, help="use only the first n questions of every task")
    arguments = parser.parse_args()
    changes = {}

    def work(model, question, features, _):
        if not changes:
            layers = len(model.decoder.layers)
            found = sufficiency.effects(arguments.knockouts, arguments.model, question.dataset, arguments.width, layers)
            changes.update(found)
        sequence = model.sequence(question, features, arguments.spans.get(question.setting))
        rows = sufficiency.keep_only(model, sequence, changes, arguments.thresholds, arguments.draws, arguments.seed)
        shared = row_schemas.about(question, arguments.model)
        return [{**shared, **row} for row in rows]

    plan = {name: getattr(arguments, name) for name in ("width", "thresholds", "draws")}
    plan["knockouts"] = provenance.file_hash(*arguments.knockouts)
    asked = {"first": arguments.first}
    shard_job.run(__file__, arguments, row_schemas.SUFFICIENCY, lambda q: choose(q, arguments), work, plan, asked=asked)


if __name__ == "__main__":
    cli.run(main)
