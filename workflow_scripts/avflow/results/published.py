"""Look up published numbers by dataset, task, group and model. They are shown beside ours and enter no computation."""

import fnmatch
import re
from pathlib import Path

import pandas as pd

from ..errors import InputError

FIGURES = ("figure_3", "figure_4", "figure_5", "figure_6")
KINDS = (  # what a row of curves.csv says about a curve
    "minimum",
    "maximum",
    "plateau",  # a flat minimum: all its windows hold one decisive layer, so it spans at most one window's width of centres
    "dip",  # a smaller minimum
    "shoulder",  # a level on the way back from the minimum
    "near_zero",  # no effect
    "onset",  # where the effect begins
    "step",  # where the curve jumps; the change is the value that it jumps to
)
CONDITIONS = ("fps", "prompt", "source")  # under which a number was found, and where it is published; see `conditions`
WITHOUT_VALUE = ("onset", "step")  # kinds that may have no change
# The routes that interventions.Route.parse accepts. They are repeated here because that module imports torch.
ROUTE = re.compile(r"cross_frame|cross_audio_segment|cross_candidate|[A-Za-z0-9_.]+(<->|->)[A-Za-z0-9_.]+")


def read(path, *columns: str) -> pd.DataFrame:
    """A table of resources/published, all cells as text. Raises InputError if a column is missing."""
    table = pd.read_csv(Path(path), dtype=str, keep_default_na=False)
    for column in columns:
        if column not in table.columns:
            raise InputError(f"{path}: there is no column {column!r}, only {', '.join(table.columns)}; restore it from git")
    return table


def same_model(one: str, other: str) -> bool:
    """Whether two spellings name the same model, as "Qwen2.5-Omni-3B" and "qwen2.5-omni-3b" do."""
    letters = lambda name: re.sub(r"[^a-z0-9]", "", name.lower())  # noqa: E731
    return letters(one) == letters(other)


def find(table: pd.DataFrame, dataset: str, task: str, group: str, **exactly) -> pd.DataFrame:
    """The rows about a task and group of a dataset, in the file's order. exactly: column -> value that it must equal."""
    rows = table[table["dataset"] == dataset]
    for column, value in exactly.items():
        rows = rows[rows[column] == value]
    for column, value in (("task", task), ("group", group)):
        rows = rows[rows[column].map(lambda pattern, value=value: fnmatch.fnmatch(value, pattern)).astype(bool)]
    return rows


def curves(path, dataset: str, model: str) -> pd.DataFrame:
    """The published values of a model's curves in Figures 3 to 6 on a dataset; no rows if nothing is published.

    path: resources/published/curves.csv. A row is one feature (`kind`, of KINDS) of a route's curve in one group of tasks: the
    answer's probability changes by `change_low` to `change_high` percent in windows centred on layers `first` to `last`. All four
    are float, and NaN if the paper states no value. Raises InputError if any row of the file, for any dataset, has an unknown
    figure or kind, an unreadable route, or limits that are missing, not numbers or the wrong way round.
    """
    numbers = ("change_low", "change_high", "first", "last")
    table = read(path, "figure", "dataset", "group", "model", "route", "kind", *numbers, *CONDITIONS)
    for line, row in enumerate(table.to_dict("records"), 2):
        where = f"{path}: line {line}"
        for column, known in (("figure", FIGURES), ("kind", KINDS)):
            if row[column] not in known:
                raise InputError(f"{where}: {column} {row[column]!r} is not known; write one of {', '.join(known)}")
        if not ROUTE.fullmatch(row["route"]):
            raise InputError(
                f"{where}: route {row['route']!r} is not understood; write it as in config.yaml, for example video->last"
            )
        _check_limits(where, row, "first", "last")
        if not _check_limits(where, row, "change_low", "change_high") and row["kind"] not in WITHOUT_VALUE:
            raise InputError(
                f"{where}: a {row['kind']} needs change_low and change_high; write them in %, a single value in both"
            )
    return _about(table, dataset, model, *numbers)


def attention(path, dataset: str, model: str) -> pd.DataFrame:
    """The published values of where the last token looks (Figure 1), for a model on a dataset; no rows if nothing is published.

    path: resources/published/attention.csv. A row says that a class of tokens (`token_classes.CLASSES`) receives `share_low` to
    `share_high` of the last token's attention (0 to 1) in layers `first` to `last` (all float). Raises InputError if limits are
    missing or the wrong way round, or if a share is outside 0 to 1.
    """
    numbers = ("share_low", "share_high", "first", "last")
    table = read(path, "figure", "dataset", "model", "class", *numbers, *CONDITIONS)
    for line, row in enumerate(table.to_dict("records"), 2):
        where = f"{path}: line {line}"
        for low, high in (("first", "last"), ("share_low", "share_high")):
            if not _check_limits(where, row, low, high):
                raise InputError(f"{where}: {low} and {high} are empty; write both")
        if not 0 <= float(row["share_low"]) <= float(row["share_high"]) <= 1:
            shares = f"{row['share_low']} to {row['share_high']}"
            raise InputError(f"{where}: share {shares} is not within 0 and 1; write 0.06 for 6 %")
    return _about(table, dataset, model, *numbers)


def _check_limits(where: str, row: dict, low: str, high: str) -> bool:
    """True if two columns hold limits in order, False if both are empty. Raises InputError otherwise."""
    if row[low] == row[high] == "":
        return False
    try:
        ordered = float(row[low]) <= float(row[high])
    except ValueError:
        raise InputError(
            f"{where}: {low} {row[low]!r} and {high} {row[high]!r} are not two numbers; write both or none"
        ) from None
    if not ordered:
        raise InputError(f"{where}: {low} {row[low]} is above {high} {row[high]}; swap them")
    return True


def _about(table: pd.DataFrame, dataset: str, model: str, *numbers: str) -> pd.DataFrame:
    """The rows about a model and dataset, with the columns `numbers` as floats."""
    mine = table["model"].map(lambda other: same_model(model, other)).astype(bool)
    rows = table[mine & (table["dataset"] == dataset)]
    return rows.assign(**{column: pd.to_numeric(rows[column]).astype(float) for column in numbers}).reset_index(drop=True)
