"""Cut routes, window by window, in the questions of one shard: the rows behind Figures 4, 5 and 6.

    python workflow_scripts/knockout.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 2 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --evaluate results/miniature/evaluate/tiny-omni/mini-video/0.parquet \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --routes 'audio->question' 'question->last' --width 3 \\
        --out results/miniature/knockout/tiny-omni/mini-video/0.parquet

One full forward for every question, route and window: about 20 ms each for the tiny model on one CPU core.
"""

from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli, knockout, tables, traced
from avflow.decoder import clean_run
from avflow.interventions import STYLES, Knockout, Route, windows


def chosen(questions, evaluated: Path, which: str):
    """The knockout split, of it the questions answered correctly ("correct"), all, or the first n of each task ("<n>")."""
    table = pq.read_table(evaluated, columns=["question_id", "correct"])
    correct = {i for i, c in zip(*(table[n].to_pylist() for n in ("question_id", "correct"))) if c}
    questions = [q for q in questions if q.study_split == "knockout"]
    if which == "correct":
        return [q for q in questions if q.question_id in correct]
    return questions


def cut_all(model, sequence, arguments) -> list[dict]:
    """All rows of one question."""
    layers = len(model.decoder.layers)
    found = windows(layers, arguments.width, arguments.style, arguments.stride)
    knockouts = [Knockout(Route.parse(r), w) for r in arguments.routes for w in found]
    shared = tables.about(sequence.question, arguments.model)
    table = knockout.rows(model, sequence, clean_run(model, sequence), knockouts, arguments.batch)
    return [{**shared, **row} for row in table]


def main():
    parser = traced.parser(__doc__)
    parser.add_argument("--evaluate", type=Path, required=True, help="this shard's rows of the rule evaluate")
    parser.add_argument("--ask", choices=["correct", "all"], default="correct", help="which questions of the knockout split")
    parser.add_argument("--routes", nargs="+", required=True, help="such as 'audio->question'")
    parser.add_argument("--width", type=int, required=True, help="layers in a window (the paper's k)")
    parser.add_argument("--style", choices=STYLES, default="centred")
    parser.add_argument("--stride", type=int, default=1, help="layers between neighbouring centres")
    parser.add_argument("--batch", type=int, default=16, help="variants in one forward")
    arguments = parser.parse_args()
    plan = {name: getattr(arguments, name) for name in ("ask", "routes", "width", "style", "stride", "batch")}
    choose = lambda questions: chosen(questions, arguments.evaluate, arguments.ask)
    traced.run(__file__, arguments, tables.KNOCKOUT, choose, lambda m, s: cut_all(m, s, arguments), plan)


if __name__ == "__main__":
    cli.run(main)
