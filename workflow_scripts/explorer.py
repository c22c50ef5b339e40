"""Make the results explorer from the tables: one HTML page that holds its data and needs no server and no network.

    python workflow_scripts/explorer.py results/miniature/tables/knockout_*.parquet --study miniature \\
        --evaluated results/miniature/tables/evaluate.parquet --questions results/miniature/questions/*.jsonl \\
        --template report/explorer.html --library resources/plotly/plotly-basic.min.js.gz \\
        --out results/miniature/explorer.html --report results/miniature/explorer_in_report.html

`--report` writes a second page that is small enough for Snakemake's report. If everything fits into both, they are equal. Takes
15 s for the miniature's 14 tables. avflow/results/explorer_data.py has the numbers, avflow/figures/explorer_page.py the page.
"""

import argparse
import json
import re
from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli
from avflow.errors import InputError
from avflow.figures import explorer_page
from avflow.questions import read_questions
from avflow.results import explorer_data
from avflow.storage import whole


def analysis_of(path: Path) -> str:
    """knockout_figure_4.parquet -> figure_4. Raises InputError for other names."""
    found = re.fullmatch(r"knockout_(\w+)", path.stem)
    if not found:
        raise InputError(f"{path}: not a table of knockouts; give files named knockout_<analysis>.parquet")
    return found[1]


def accuracies(path) -> dict:
    """model -> dataset -> task -> [questions answered correctly, questions asked], without any cut."""
    rows, found = pq.read_table(path, columns=["model", "dataset", "task", "correct"]).to_pandas().dropna(subset="correct"), {}
    for (model, dataset, task), here in rows.groupby(["model", "dataset", "task"])["correct"]:
        found.setdefault(model, {}).setdefault(dataset, {})[task] = [int(here.sum()), len(here)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="knockout_<analysis>.parquet")
    parser.add_argument("--study", required=True, help="name of the study, for the page's title")
    parser.add_argument("--evaluated", type=Path, required=True, help="the table of answers")
    parser.add_argument("--questions", nargs="+", type=Path, required=True, help="JSON Lines of every dataset in the tables")
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--library", type=Path, required=True, help="plotly.js, compressed with gzip")
    parser.add_argument("--drawn", type=json.loads, default={}, help="analysis -> routes drawn by its figure, JSON; default: all")
    parser.add_argument("--models", nargs="*", default=[], help="models in this order; others follow")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=int, default=10, help="the fewest questions of a curve with a band")
    parser.add_argument("--budget", type=int, default=explorer_page.FULL, help="most bytes of the page")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, help="also write the page for Snakemake's report here")
    arguments = parser.parse_args()
    asked = [question for path in arguments.questions for question in read_questions(path)]
    gold = {q.question_id: q.answer for q in asked}
    texts = {q.question_id: [q.question, [[o.label, o.text] for o in q.options], q.answer] for q in asked}
    blocks = [b for path in arguments.tables for b in explorer_data.read_blocks(path, analysis_of(path), gold)]
    prepared = []
    progress = cli.Progress("computing curves", len(blocks))
    for block in blocks:
        prepared.append(explorer_page.prepare(block, arguments.draws, arguments.seed, arguments.drawn.get(block.analysis, ())))
        progress.step()
    models = list(dict.fromkeys([*arguments.models, *sorted(block.model for block in blocks)]))
    about = {"study": arguments.study, "models": models, "accuracy": accuracies(arguments.evaluated)}
    about |= {"draws": arguments.draws, "seed": arguments.seed, "least": arguments.least}
    template, library = arguments.template.read_text(encoding="utf-8"), arguments.library.read_bytes()
    pages = [(arguments.out, arguments.budget, "")]
    if arguments.report:
        pages.append((arguments.report, explorer_page.REPORT, f"{arguments.out.name}, next to the folder of tables, holds more."))
    for out, budget, elsewhere in pages:
        text = explorer_page.page(template, library, prepared, texts, about, budget, elsewhere)
        with whole(out) as part:
            part.write_text(text, encoding="utf-8")
        print(f"{out}: {len(text.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    cli.run(main)
