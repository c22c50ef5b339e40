"""The pictures of figures in docs/ are small, and are those of the shipped tables."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

import docs_pictures
from avflow.errors import InputError
from avflow.study import Study

NAMES = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("PICTURES = ")).split()[2:]
MOST = 600_000  # bytes, of all of them


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_drawn_from_the_shipped_tables(name):
    study = Study.read(ROOT / "config.yaml", study="miniature", tables="shipped")
    told = Image.open(ROOT / f"docs/{name}.png").text[docs_pictures.SOURCE]
    assert told == docs_pictures.source_of(study, name), f"docs/{name}.png is of other tables; run make pictures"


def test_the_hash_is_of_values_not_of_how_they_are_packed(tmp_path):
    rows = pd.DataFrame({"answer": ["A", None], "p": np.float32([0.1, np.nan]), "layers": [[1, 2], []]})
    rows.to_parquet(tmp_path / "a.parquet", compression="zstd")
    rows.to_parquet(tmp_path / "b.parquet", compression="brotli", row_group_size=1)
    rows.assign(p=np.nextafter(rows["p"], np.float32(1))).to_parquet(tmp_path / "c.parquet")
    rows.rename(columns={"p": "q"}).to_parquet(tmp_path / "d.parquet")
    of = [docs_pictures.contents(tmp_path / f"{name}.parquet") for name in "abcd"]
    assert of[0] == of[1] and len(set(of)) == 3


def test_the_pictures_are_small():
    assert sum((ROOT / f"docs/{name}.png").stat().st_size for name in NAMES) < MOST


def test_a_small_copy_keeps_colours_and_a_missing_figure_is_one_line(tmp_path):
    stripes = np.zeros((40, 2200, 3), np.uint8) + 255
    stripes[:, :1100] = (0x15, 0x65, 0xC0)
    Image.fromarray(stripes).save(tmp_path / "large.png")
    docs_pictures.shrink(tmp_path / "large.png", tmp_path / "small.png", "abc")
    small = Image.open(tmp_path / "small.png")
    assert small.size == (1100, 20) and small.text[docs_pictures.SOURCE] == "abc"
    assert small.convert("RGB").getpixel((10, 10)) == (0x15, 0x65, 0xC0)
    with pytest.raises(InputError, match="fig9.png is missing; draw it with snakemake fig9 --cores all --config tables=shipped"):
        docs_pictures.shrink(tmp_path / "fig9.png", tmp_path / "small.png", "abc")
