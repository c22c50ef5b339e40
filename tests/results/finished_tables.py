"""The tables of a finished miniature, as the rule `claims` reads them, made from those in figures/shipped."""

import shutil
from pathlib import Path

import pandas as pd
import yaml
from conftest import ROOT

from avflow.results import measures, published, table_1, table_4

MODELS = {"tiny-omni": 3, "tiny-salmonn": 3}
DATASETS = {"video": "mini-video", "items": "mini-items"}
SHIPPED = ROOT / "figures" / "shipped" / "tables"


def finish(folder: Path, draws: int) -> Path:
    """Copy the shipped tables to a folder and add those that are not shipped: Tables 1 to 4."""
    for path in SHIPPED.glob("*.parquet"):
        shutil.copy(path, folder / path.name)
    first_table(folder, draws)
    task_tables(folder)
    fourth_table(folder, draws)
    return folder


def first_table(folder: Path, draws: int) -> None:
    numbers = published.read(
        ROOT / "resources/published/masking.csv", "dataset", "model", "setting", "accuracy", *published.CONDITIONS
    )
    table = table_1.masking_table(folder / "attention.parquet", DATASETS["video"], numbers, draws, 0)
    table.round(2).to_csv(folder / "tab1.csv", index=False)


def task_tables(folder: Path) -> None:
    """The numbers of Tables 2 and 3. Their examples need the questions, which are not shipped."""
    answers = pd.read_parquet(folder / "evaluate.parquet")
    for name, dataset in zip(("tab2", "tab3"), DATASETS.values()):
        here = answers[answers["dataset"] == dataset]
        wide = here.pivot_table(index=["group", "task"], columns="model", values="correct", aggfunc="sum").astype(int)
        wide.columns = [f"correct_{model}" for model in wide.columns]
        one = here[here["model"] == "tiny-omni"].groupby(["group", "task"])
        wide["n"], wide["n_knockout"] = one.size(), one["study_split"].agg(lambda split: (split == "knockout").sum())
        total = pd.concat([wide.reset_index(), wide.sum().to_frame().T.assign(group="all", task="all")])
        total.to_csv(folder / f"{name}.csv", index=False)


def fourth_table(folder: Path, draws: int) -> None:
    parts = yaml.safe_load((ROOT / "config.yaml").read_text())["studies"]["miniature"]["discards"]
    layers = {model: {"av_video": {}, "items": {}} for model in MODELS}
    rows = pd.read_parquet(folder / "pruning.parquet")
    for kind, block in table_4.table(rows, parts, list(MODELS), layers, None, 2, draws, 0).items():
        block.to_csv(folder / f"tab4_{kind.removeprefix('av_')}.csv", index=False)


def tables_of(folder: Path, draws: int) -> measures.Tables:
    return measures.Tables(folder, MODELS, DATASETS, draws, 0)
