"""Join the parquet files of shards, datasets and models into one table. Files are streamed one by one.

    python workflow_scripts/gather.py results/miniature/knockout/*/*/figure_4/*.parquet \\
        --out results/miniature/tables/knockout_figure_4.parquet
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli
from avflow.errors import InputError
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", nargs="+", type=Path, help="parquet files with the same columns")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--may-be-empty", action="store_true", help="accept a table without rows")
    arguments = parser.parse_args()
    schema = pq.read_schema(arguments.shards[0]).remove_metadata()
    rows = 0
    with whole(arguments.out) as part:
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for shard in arguments.shards:
                table = pq.read_table(shard).replace_schema_metadata()
                if table.schema != schema:
                    raise InputError(f"{shard}: columns differ from those of {arguments.shards[0]}; delete it and run again")
                writer.write_table(table)
                rows += len(table)
        if not rows and not arguments.may_be_empty:
            raise InputError(
                f"{arguments.out}: none of {len(arguments.shards)} shards has a row; their logs name questions that are left out,"
                " with the reason"
            )


if __name__ == "__main__":
    cli.run(main)
