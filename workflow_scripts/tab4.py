"""Make both blocks of Table 4 from the discards and the layers chosen for them, as csv and LaTeX.

    python workflow_scripts/tab4.py --pruning results/miniature/tables/pruning.parquet --models tiny-omni \\
        --swept results/miniature/tables/discard_sweep.parquet \\
        --layers results/miniature/discard_layers/tiny-omni.json --parts '{"knockout": {"mini-video": ["*"]}}' --margin 2 \\
        --published resources/published/table_4.csv --video results/miniature/tables/tab4_video.csv
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from avflow import cli
from avflow.results import published, table_4
from avflow.storage import whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pruning", type=Path, required=True, help="table of the rule gather_pruning")
    parser.add_argument(
        "--swept", type=Path, help="table of the rule gather_discard_sweep, for the layers around the chosen ones"
    )
    parser.add_argument("--models", nargs="+", required=True, help="models in the order of the table")
    parser.add_argument(
        "--layers", type=Path, nargs="+", required=True, help="json of the rule discard_layers for each model, in that order"
    )
    parser.add_argument("--parts", type=json.loads, required=True, help="part -> dataset -> patterns of its tasks, JSON")
    parser.add_argument("--margin", type=float, required=True, help="margin of non-inferiority, in points of accuracy")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--published", type=Path, required=True, help="csv of the paper's numbers")
    parser.add_argument("--asked", type=json.loads, help="how this study asks, JSON: dataset -> prompt, and fps by model")
    parser.add_argument("--video", type=Path, help="csv for the block of audio-visual video; LaTeX is written beside it")
    parser.add_argument("--items", type=Path, help="csv for the block of interleaved items; LaTeX is written beside it")
    arguments = parser.parse_args()
    columns = ("dataset", "task", "group", "model", "discard", "accuracy", *published.CONDITIONS)
    known = published.read(arguments.published, *columns)
    layers = {model: json.loads(path.read_text()) for model, path in zip(arguments.models, arguments.layers, strict=True)}
    blocks = table_4.table(
        pd.read_parquet(arguments.pruning),
        arguments.parts,
        arguments.models,
        layers,
        known,
        arguments.margin,
        arguments.draws,
        arguments.seed,
        arguments.asked,
        pd.read_parquet(arguments.swept) if arguments.swept else None,
    )
    for setting, path in (("av_video", arguments.video), ("items", arguments.items)):
        if path:
            for file, text in (
                (path, blocks[setting].to_csv(index=False)),
                (path.with_suffix(".tex"), table_4.to_tex(blocks[setting])),
            ):
                with whole(file) as part:
                    part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
