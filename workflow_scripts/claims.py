"""Judge every claim from the study's tables. Each claim is a numeric rule; its verdict is agree, differ or not testable.

    python workflow_scripts/claims.py --claims resources/claims/miniature.yaml --tables results/miniature/tables \\
        --models '{"tiny-omni": 3}' --datasets '{"video": "mini-video", "items": "mini-items"}' \\
        --out results/miniature/tables/claims.csv

Also prints the verdicts. avflow/results/measures.py defines the measures.
"""

import argparse
import json
from pathlib import Path

from avflow import cli
from avflow.results import claims, measures
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=Path, required=True, help="YAML file of claims")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the study's tables")
    parser.add_argument("--models", type=json.loads, required=True, help="model -> layers in its window, JSON")
    parser.add_argument("--datasets", type=json.loads, required=True, help="`video` and `items` -> dataset, JSON")
    parser.add_argument("--asked", type=json.loads, help="how this study asks, JSON: dataset -> prompt, and fps by model")
    parser.add_argument("--without", type=json.loads, default=[], help="claims to leave out, as a JSON list of their texts")
    parser.add_argument("--least", type=int, default=10, help="with fewer questions than this, a claim is not testable")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="models that are judged side by side")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rules = [claim for claim in claims.read(arguments.claims) if claim["claim"] not in arguments.without]
    if arguments.without:
        print(f"{len(arguments.without)} claims are left out: they are about figures on request that nobody has asked for")
    tables = measures.Tables(arguments.tables, arguments.models, arguments.datasets, arguments.draws, arguments.seed)
    found = claims.judge(rules, tables, arguments.least, arguments.asked, arguments.processes)
    with whole(arguments.out) as part:
        found.to_csv(part, index=False, float_format="%.4f")
    for model, here in found.groupby("model", sort=False):
        counted = here["verdict"].value_counts()
        print(f"{model}: {', '.join(f'{n} {verdict}' for verdict, n in counted.items())}")
        for _, row in here[here["verdict"] == "differ"].iterrows():
            print(f"  differs: {row['claim']}: {row['rule'].split(',')[0]} {row['value']:.2f}, expected {row['expected']}")


if __name__ == "__main__":
    cli.run(main)
