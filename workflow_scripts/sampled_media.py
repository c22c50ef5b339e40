"""Count how media were sampled, by dataset and sampling: how many were sampled more coarsely to fit into a model's context.

    python workflow_scripts/sampled_media.py results/miniature/frames/*/*/*.tsv --out results/miniature/tables/sampled_media.csv

The tables are those of preprocess_media.py, in folders DATASET/SAMPLING. Takes a second.
"""

import argparse
import csv
from pathlib import Path

from avflow import cli
from avflow.media import plan_table
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="tables of shards, DATASET/SAMPLING/SHARD.tsv")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    found = {}
    for path in arguments.tables:
        found.setdefault((path.parts[-3], path.parts[-2]), []).extend(plan_table.read(path))
    with whole(arguments.out) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("dataset", "sampling", *plan_table.COUNTS), lineterminator="\n")
        writer.writeheader()
        for (dataset, sampling), rows in found.items():
            writer.writerow({"dataset": dataset, "sampling": sampling, **plan_table.summary(rows)})


if __name__ == "__main__":
    cli.run(main)
