"""Make Table 2 or 3: the tasks of one dataset with question counts, correct answers and an example, as csv and LaTeX.

    python workflow_scripts/task_table.py --questions results/miniature/questions/mini-video.jsonl \\
        --dropped results/miniature/questions/mini-video.dropped.tsv --evaluated results/miniature/tables/evaluate.parquet \\
        --published resources/published/tasks.csv --csv results/miniature/tables/tab2.csv --tex results/miniature/tables/tab2.tex

Counts are those of the prepared questions. The paper's counts stand beside them.
"""

import argparse
from pathlib import Path

import pandas as pd

from avflow import cli
from avflow.questions import read_questions
from avflow.results import published, task_table
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, required=True, help="JSON Lines of one dataset")
    parser.add_argument("--dropped", type=Path, required=True, help="tsv of the dataset's dropped questions")
    parser.add_argument("--evaluated", type=Path, required=True, help="table of the rule gather_evaluate")
    parser.add_argument("--published", type=Path, required=True, help="csv of the paper's numbers")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--tex", type=Path, required=True)
    arguments = parser.parse_args()
    answers = pd.read_parquet(arguments.evaluated, columns=["dataset", "model", "question_id", "correct"])
    dropped = pd.read_csv(arguments.dropped, sep="\t", dtype=str, keep_default_na=False)
    counts = published.read(arguments.published, "dataset", "task", "group", "n", "source")
    table = task_table.task_table(read_questions(arguments.questions), dropped, answers, counts)
    for path, text in ((arguments.csv, table.to_csv(index=False)), (arguments.tex, task_table.to_tex(table))):
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
