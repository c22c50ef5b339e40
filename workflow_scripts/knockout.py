"""Cut routes, window by window, in the questions of one shard: the rows behind Figures 4, 5 and 6.

    python workflow_scripts/knockout.py --model tiny-omni --family qwen_omni --checkpoint resources/tiny-omni \\
        --questions results/miniature/questions/mini-video.jsonl --shard 0 --shards 2 \\
        --features results/miniature/features/tiny-omni/mini-video/0.safetensors \\
        --evaluate results/miniature/evaluate/tiny-omni/mini-video/0.parquet \\
        --spans '{"av_video": {"question": ["instruction", "question_text", "options", "tail"]}}' \\
        --routes 'audio->question' 'question->last' --width 3 \\
        --out results/miniature/knockout/tiny-omni/mini-video/0.parquet

By the incremental engine, a tiny model's 60 knockouts of a clip take 0.2 s on one CPU core, against 2.4 s by full forwards.
"""

import random
from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli, knockout, readout, tables, traced
from avflow.decoder import clean_run
from avflow.errors import InputError
from avflow.interventions import STYLES, Knockout, Route, windows


def chosen(questions, evaluated: Path, which: str):
    """The knockout split, of it the questions answered correctly ("correct"), all, or the first n of each task ("<n>")."""
    table = pq.read_table(evaluated, columns=["question_id", "correct"])
    correct = {i for i, c in zip(*(table[n].to_pylist() for n in ("question_id", "correct"))) if c}
    questions = [q for q in questions if q.study_split == "knockout"]
    if which == "correct":
        return [q for q in questions if q.question_id in correct]
    return questions


TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "bfloat16": 5e-2, "float16": 1e-2}  # of the largest logit, against naive


def asked_knockouts(model, arguments) -> list[Knockout]:
    """Every route in every window, in the order of the rows."""
    found = windows(len(model.decoder.layers), arguments.width, arguments.style, arguments.stride)
    return [Knockout(Route.parse(r), w) for r in arguments.routes for w in found]


def cut_all(model, question, features, arguments) -> list[dict]:
    """All rows of one question."""
    sequence = model.sequence(question, features, arguments.spans.get(question.setting))
    shared = tables.about(question, arguments.model)
    engine = {"sweep": knockout.sweep, "naive": knockout.naive}[arguments.engine]
    table = knockout.rows(model, sequence, clean_run(model, sequence), asked_knockouts(model, arguments), engine)
    return [{**shared, **row} for row in table]


def verify(loaded, questions, partial, arguments) -> dict:
    """Recompute some finished rows by full forwards; returns how many and the largest difference of their option logits.

    Raises InputError above the tolerance of the dtype, relative to the largest logit.
    """
    if not arguments.verify or not questions:
        return {"verified": 0, "verified_difference": None}
    rng, worst = random.Random(arguments.seed), 0.0
    for _ in range(arguments.verify):
        question = rng.choice(questions)
        model, features = loaded(question)
        sequence = model.sequence(question, features, arguments.spans.get(question.setting))
        pairs = list(zip(asked_knockouts(model, arguments), partial.rows_of(question.question_id)[1:]))
        asked, row = rng.choice([pair for pair in pairs if pair[1]["applicable"]])
        logits, _ = knockout.naive(model, sequence, [asked])
        columns = readout.option_logits(sequence, logits)
        letters = [f"logit_{o.label}" for o in question.options]
        difference = max(abs(columns[name][0] - row[name]) for name in letters) / logits.abs().max().item()
        worst = max(worst, difference)
        if difference > TOLERANCE[arguments.dtype]:
            where = f"question {question.question_id}, route {asked.route}, centre {asked.window.centre}"
            raise InputError(
                f"{where}: {difference:.1e} off the full forward; delete {arguments.out}.partial, use --engine naive"
            )
    return {"verified": arguments.verify, "verified_difference": worst}


def main():
    parser = traced.parser(__doc__)
    parser.add_argument("--evaluate", type=Path, required=True, help="this shard's rows of the rule evaluate")
    parser.add_argument("--ask", choices=["correct", "all"], default="correct", help="which questions of the knockout split")
    parser.add_argument("--routes", nargs="+", required=True, help="such as 'audio->question'")
    parser.add_argument("--width", type=int, required=True, help="layers in a window (the paper's k)")
    parser.add_argument("--style", choices=STYLES, default="centred")
    parser.add_argument("--stride", type=int, default=1, help="layers between neighbouring centres")
    parser.add_argument("--engine", choices=["sweep", "naive"], default="sweep", help="incremental, or full forwards")
    parser.add_argument("--verify", type=int, default=0, metavar="N", help="recompute N random rows by full forwards")
    arguments = parser.parse_args()
    plan = {name: getattr(arguments, name) for name in ("ask", "routes", "width", "style", "stride", "engine")}
    choose = lambda questions: chosen(questions, arguments.evaluate, arguments.ask)
    work = lambda model, question, features: cut_all(model, question, features, arguments)
    check = lambda loaded, questions, partial: verify(loaded, questions, partial, arguments)
    traced.run(__file__, arguments, tables.KNOCKOUT, choose, work, plan, check)


if __name__ == "__main__":
    cli.run(main)
