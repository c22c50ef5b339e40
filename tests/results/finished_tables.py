"""The tables of a finished miniature, as the rule `claims` reads them, made from those in figures/shipped."""

import functools
import shutil
from pathlib import Path

import pandas as pd
import yaml
from conftest import ROOT

from avflow.errors import InputError
from avflow.jobs import LAYERS_FOLLOW_FROM
from avflow.results import discard_rule, effects, measures, published, table_1, table_4

MODELS = {"tiny-omni": 3, "tiny-salmonn": 3}
DATASETS = {"video": "mini-video", "items": "mini-items"}
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
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


def discard_layers(folder: Path) -> dict:
    """Model -> the layers after which kinds of token leave, as the rule discard_layers finds them from the knockouts."""
    return _layers(tuple(str((folder / f"knockout_{name}.parquet").resolve()) for name in LAYERS_FOLLOW_FROM))


@functools.cache
def _layers(paths: tuple[str, ...]) -> dict:
    settings, found = CONFIG["pruning"], {}
    for model, width in MODELS.items():
        found[model] = {}
        for setting, kind, tables in (("av_video", "video", paths[:2]), ("items", "items", paths[2:])):
            changes = pd.concat([effects.relative_change(path, {model: width}, DATASETS[kind]) for path in tables])
            of = {
                name: {"tokens": kinds["tokens"]}
                | discard_rule.last_needed(changes, kinds["routes"], int(changes["centre"].max()) + 1, settings["threshold"])
                for name, kinds in settings["kinds"][setting].items()
            }
            found[model][setting] = of
    return found


def fourth_table(folder: Path, draws: int) -> None:
    parts, layers = CONFIG["studies"]["miniature"]["discards"], discard_layers(folder)
    rows, swept = pd.read_parquet(folder / "pruning.parquet"), pd.read_parquet(folder / "discard_sweep.parquet")
    for kind, block in table_4.table(rows, parts, list(MODELS), layers, None, 2, draws, 0, None, swept).items():
        block.to_csv(folder / f"tab4_{kind.removeprefix('av_')}.csv", index=False)


DERIVED = {  # what is made from which tables
    ("tab1",): (first_table, ("attention",)),
    ("tab2", "tab3"): (lambda folder, draws: task_tables(folder), ("evaluate",)),
    ("tab4_video", "tab4_items"): (
        fourth_table,
        ("pruning", "discard_sweep", *(f"knockout_{name}" for name in LAYERS_FOLLOW_FROM)),
    ),
}


def derive(folder: Path, changed, draws: int) -> set[str]:
    """Make again what derives from changed tables, but for what is changed itself. Returns the names.

    A table that cannot be made is left out, as by a pipeline that stops there.
    """
    made = set()
    for names, (make, sources) in DERIVED.items():
        if set(sources) & set(changed) and not set(names) & set(changed):
            for name in names:
                (folder / f"{name}.csv").unlink(missing_ok=True)
            try:
                make(folder, draws)
            except (InputError, KeyError, ValueError, IndexError, TypeError, ZeroDivisionError):
                print(f"{', '.join(names)} cannot be made")
            made |= set(names)
    return made


def tables_of(folder: Path, draws: int) -> measures.Tables:
    return measures.Tables(folder, MODELS, DATASETS, draws, 0)
