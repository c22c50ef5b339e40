"""Make the small pictures of the docs from the shipped tables. Run it as `make pictures`, which draws the figures first.

    python workflow_scripts/docs_pictures.py --out docs fig3 fig4 fig5 fig6 app_resample app_discard_layers

A picture is at most 1,100 pixels wide and has 128 colours, which makes it an eighth of the figure's size. Its metadata has the
hash of the tables that it was drawn from; a test compares it with that of the shipped ones. Takes ten seconds.
"""

import argparse
import hashlib
from pathlib import Path

import pandas as pd
from PIL import Image, PngImagePlugin

from avflow import cli, figure_table
from avflow.errors import InputError
from avflow.study import Study

WIDEST = 1100  # pixels
COLOURS, ROUNDS = 128, 4  # of a picture, and rounds in which they move to the nearest pixels (k-means)
SOURCE = "Source"  # key of the metadata


def source_of(study: Study, name: str) -> str:
    """The hash of the contents of the shipped files that a figure is drawn from."""
    paths = [study.folder / path for path in figure_table.inputs(study, name) if "shipped" in Path(path).parts]
    return hashlib.sha256(b"".join(map(contents, paths))).hexdigest()


def contents(path: Path) -> bytes:
    """The hash of what a file says: of a table its columns and values, however it is compressed; of another file its bytes."""
    if path.suffix != ".parquet":
        return hashlib.sha256(path.read_bytes()).digest()
    return hashlib.sha256(pd.read_parquet(path).to_json(orient="split", index=False, double_precision=15).encode()).digest()


def shrink(figure: Path, out: Path, source: str) -> None:
    """Write a small copy of a figure. Raises InputError if the figure is missing."""
    if not figure.is_file():
        raise InputError(f"{figure} is missing; draw it with snakemake {figure.stem} --cores all --config tables=shipped")
    picture = Image.open(figure).convert("RGB")
    width = min(WIDEST, picture.width)
    picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    told = PngImagePlugin.PngInfo()
    told.add_text(SOURCE, source)
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, ROUNDS, dither=Image.Dither.NONE)
    few.save(out, optimize=True, pnginfo=told)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="figures to copy, such as fig4")
    parser.add_argument("--out", type=Path, required=True, help="folder of the copies")
    arguments = parser.parse_args()
    study = Study.read("config.yaml", study="miniature", tables="shipped")
    for name in arguments.names:
        out = arguments.out / f"{name}.png"
        shrink(Path(study.paths["results"]) / "figures" / f"{name}.png", out, source_of(study, name))
        print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    cli.run(main)
