"""Join the knockout rows of all choices that the paper leaves open into one table.

    python workflow_scripts/gather_sensitivity.py results/miniature/knockout/*/*/sensitivity*/*.parquet \\
        --parts '[{"model": "tiny-omni", "dataset": "mini-video", "choice": "window", "alternative": "wider",
                   "differs": "window 5", "analysis": "sensitivity", "window": 5}]' \\
        --out results/miniature/tables/sensitivity.parquet

The first columns are choice, alternative and differs. Each entry of `parts` says which rows belong to an alternative: those of a
model in a dataset, from an analysis (the folder of a shard), of a window's width, of an order of the prompt's parts (`layout`, by
default the default order) and of tasks (`tasks`, by default those for interventions). One row may belong to several choices, as
those of the base do.
"""

import argparse
import fnmatch
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from avflow import cli
from avflow.questions import layouts
from avflow.storage import whole


def belongs(rows: pd.DataFrame, part: dict) -> pd.Series:
    """Which rows of a model in a dataset belong to a part (rows,). Null rows have no width, so they belong to every width."""
    order = rows["layout"] == part["layout"] if "layout" in part else ~rows["layout"].isin(layouts.NAMES)
    width = (rows["width"] == part["window"]) | (rows["control"] == "null")
    if "tasks" not in part:
        return order & width & (rows["study_split"] == "knockout")
    named = [task for task in rows["task"].unique() if any(fnmatch.fnmatchcase(task, pattern) for pattern in part["tasks"])]
    return order & width & rows["task"].isin(named)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", nargs="+", type=Path, help="parquet files <model>/<dataset>/<analysis>/<shard>.parquet")
    parser.add_argument("--parts", type=json.loads, required=True, help="which rows belong to which choice, JSON; see above")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    named = [pa.field(name, pa.string()) for name in ("choice", "alternative", "differs")]
    schema = pa.schema([*named, *pq.read_schema(arguments.shards[0])])
    with whole(arguments.out) as path, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for shard in arguments.shards:
            table = pq.read_table(shard)
            rows = table.select(["layout", "width", "control", "study_split", "task"]).to_pandas()
            for part in arguments.parts:
                if list(shard.parts[-4:-1]) == [part["model"], part["dataset"], part["analysis"]]:
                    found = table.filter(pa.array(belongs(rows, part)))
                    first = [pa.array([part[field.name]] * len(found), field.type) for field in named]
                    writer.write_table(pa.table([*first, *found.columns], schema=schema))


if __name__ == "__main__":
    cli.run(main)
