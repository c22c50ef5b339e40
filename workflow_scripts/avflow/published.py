"""Published numbers, found for a dataset's task, group and model; they are shown beside ours and never used."""

import fnmatch
import re
from pathlib import Path

import pandas as pd

from .errors import InputError


def read(path, *columns: str) -> pd.DataFrame:
    """A table of resources/published as text. Raises InputError when a column is missing."""
    table = pd.read_csv(Path(path), dtype=str, keep_default_na=False)
    for column in columns:
        if column not in table.columns:
            raise InputError(f"{path}: there is no column {column!r}, only {', '.join(table.columns)}; restore it from git")
    return table


def same_model(one: str, other: str) -> bool:
    """Whether two spellings name one model: "Qwen2.5-Omni-3B" and "qwen2.5-omni-3b" do."""
    letters = lambda name: re.sub(r"[^a-z0-9]", "", name.lower())  # noqa: E731
    return letters(one) == letters(other)


def find(table: pd.DataFrame, dataset: str, task: str, group: str, **exactly) -> pd.DataFrame:
    """The rows about a task and group of a dataset, in the file's order; `exactly`: columns that must be equal."""
    rows = table[table["dataset"] == dataset]
    for column, value in exactly.items():
        rows = rows[rows[column] == value]
    for column, value in (("task", task), ("group", group)):
        rows = rows[rows[column].map(lambda pattern, value=value: fnmatch.fnmatch(value, pattern)).astype(bool)]
    return rows
