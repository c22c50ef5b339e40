"""Tables -> the results explorer: one HTML page with its data, to be opened in any browser, no server and no network.

    python workflow_scripts/explorer.py results/miniature/tables/knockout_*.parquet --study miniature \\
        --evaluated results/miniature/tables/evaluate.parquet --questions results/miniature/questions/*.jsonl \\
        --template report/explorer.html --library resources/plotly/plotly-basic.min.js.gz \\
        --out results/miniature/explorer.html --report results/miniature/explorer_in_report.html

The second page is the same, small enough to be opened inside of Snakemake's report; where both fit, they differ in nothing.
Takes 15 s for the miniature's 14 tables. See avflow/explorer.py for the numbers and avflow/explorer_page.py for the page.
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
        raise InputError(f"{path}: is no table of knockouts; give those named knockout_<analysis>.parquet")
    return found[1]


def accuracies(path) -> dict:
    """model -> dataset -> task -> [answered correctly, asked], nothing cut."""
    rows, found = pq.read_table(path, columns=["model", "dataset", "task", "correct"]).to_pandas(), {}
    for (model, dataset, task), here in rows.groupby(["model", "dataset", "task"])["correct"]:
        found.setdefault(model, {}).setdefault(dataset, {})[task] = [int(here.sum()), len(here)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="knockout_<analysis>.parquet")
    parser.add_argument("--study", required=True, help="its name, for the page's title")
    parser.add_argument("--evaluated", type=Path, required=True, help="the table of answers")
    parser.add_argument("--questions", nargs="+", type=Path, required=True, help="JSON Lines of every dataset in the tables")
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--library", type=Path, required=True, help="plotly.js, compressed by gzip")
    parser.add_argument("--drawn", type=json.loads, default={}, help="analysis -> routes that its figure draws, JSON; all")
    parser.add_argument("--models", nargs="*", default=[], help="the order of the models; others come behind")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=explorer_page.FULL, help="bytes of the page")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, help="the page for Snakemake's report")
    arguments = parser.parse_args()
    asked = [question for path in arguments.questions for question in read_questions(path)]
    gold = {q.question_id: q.answer for q in asked}
    texts = {q.question_id: [q.question, [[o.label, o.text] for o in q.options], q.answer] for q in asked}
    blocks = [b for path in arguments.tables for b in explorer_data.read_blocks(path, analysis_of(path), gold)]
    prepared = []
    progress = cli.Progress("curves of models", len(blocks))
    for block in blocks:
        prepared.append(explorer_page.prepare(block, arguments.draws, arguments.seed, arguments.drawn.get(block.analysis, ())))
        progress.step()
    models = list(dict.fromkeys([*arguments.models, *sorted(block.model for block in blocks)]))
    about = {"study": arguments.study, "models": models, "accuracy": accuracies(arguments.evaluated)}
    about |= {"draws": arguments.draws, "seed": arguments.seed}
    template, library = arguments.template.read_text(encoding="utf-8"), arguments.library.read_bytes()
    pages = [(arguments.out, arguments.budget, "")]
    if arguments.report:
        pages.append((arguments.report, explorer_page.REPORT, f"More is in {arguments.out.name} beside the folder of tables."))
    for out, budget, elsewhere in pages:
        text = explorer_page.page(template, library, prepared, texts, about, budget, elsewhere)
        with whole(out) as part:
            part.write_text(text, encoding="utf-8")
        print(f"{out}: {len(text.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    cli.run(main)
