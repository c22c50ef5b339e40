"""Keep the cells of a finished run of the miniature, which later runs must repeat (avflow/results/specimen.py).

    python workflow_scripts/specimen.py --tables results/miniature/tables --shipped figures/shipped/tables \\
        --claims resources/claims/miniature.yaml --out resources/claims/miniature_specimen.parquet

Needed after the miniature's tables have changed for a reason; `make ship` does it. Columns that are not shipped are left out, so
that the shipped tables can be compared, too. Takes about 10 seconds.
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli
from avflow.results import specimen
from avflow.storage import claim_entries, whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the finished tables")
    parser.add_argument("--shipped", type=Path, required=True, help="folder of the shipped tables, which decide on the columns")
    parser.add_argument("--claims", type=Path, required=True, help="file of claims, whose measures `specimen` name the tables")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    named = [entry["table"] for entry in claim_entries.entries(arguments.claims) if entry.get("measure") == "specimen"]
    found = specimen.of_tables(arguments.tables, named)
    for path in arguments.shipped.glob("*.parquet"):
        kept = [*pq.read_schema(path).names, "rows"]
        found = found[(found["table"] != path.stem) | found["column"].astype(str).str.removesuffix("_in_order").isin(kept)]
    with whole(arguments.out) as part:
        found.to_parquet(part, index=False, compression="zstd", compression_level=19)


if __name__ == "__main__":
    cli.run(main)
