"""Make Table 1, attention masked in the last layers: accuracy by setting and its paired change, as csv and LaTeX.

    python workflow_scripts/tab1.py --dataset mini-video --attention results/miniature/tables/attention.parquet \\
        --published resources/published/masking.csv --csv results/miniature/tables/tab1.csv \\
        --tex results/miniature/tables/tab1.tex
"""

import argparse
import json
from pathlib import Path

from avflow import cli
from avflow.results import published, table_1, task_table
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attention", type=Path, required=True, help="table of the rule gather_attention")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--published", type=Path, required=True, help="csv of the paper's numbers")
    parser.add_argument("--asked", type=json.loads, help="how this study asks, JSON: dataset -> prompt, and fps by model")
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap draws behind the intervals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--tex", type=Path, required=True)
    arguments = parser.parse_args()
    numbers = published.read(arguments.published, "dataset", "model", "setting", "accuracy", *published.CONDITIONS)
    about = (arguments.dataset, numbers, arguments.draws, arguments.seed, arguments.asked)
    table = table_1.masking_table(arguments.attention, *about).round(2)
    shown = table[table["group"] == "all"].drop(columns="group")  # the positive control's groups are in the csv alone
    for path, text in ((arguments.csv, table.to_csv(index=False)), (arguments.tex, task_table.to_tex(shown, wide=False))):
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
