"""Count how media were sampled, by dataset and sampling: how many were sampled more coarsely to fit into a model's context.

    python workflow_scripts/sampled_media.py results/miniature/frames/*/*/*.tsv --out results/miniature/tables/sampled_media.csv

The tables are those of preprocess_media.py, in folders DATASET/SAMPLING, or those of extract_features.py, in folders
features/MODEL/DATASET. Takes a second.
"""

import argparse
import csv
import json
from pathlib import Path

from avflow import cli
from avflow.media import plan_table
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="tables of shards, DATASET/SAMPLING/SHARD.tsv")
    parser.add_argument("--samplings", type=json.loads, default={}, help="model -> its sampling, JSON")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    found = {}
    for path in arguments.tables:
        dataset, sampling = path.parts[-3:-1]
        if path.parts[-4:-3] == ("features",):
            dataset, sampling = path.parts[-2], arguments.samplings[path.parts[-3]]
        found.setdefault((dataset, sampling), []).extend(plan_table.read(path))
    with whole(arguments.out) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("dataset", "sampling", *plan_table.COUNTS), lineterminator="\n")
        writer.writeheader()
        for (dataset, sampling), rows in found.items():
            writer.writerow({"dataset": dataset, "sampling": sampling, **plan_table.summary(rows)})


if __name__ == "__main__":
    cli.run(main)
