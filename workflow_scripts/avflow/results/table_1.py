"""Table 1: accuracy with attention masked in the last layers, against the same questions without a mask.

A positive control masks the same attention from an early layer on, for every group of tasks.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import conditions, published
from .statistics import paired_change
from .task_groups import ordered

PARTS = {"masked": "late", "masked_early": "early"}  # kind of row -> part of the table


def masking_table(path, dataset: str, numbers: pd.DataFrame, draws: int, seed: int, asked: dict | None = None) -> pd.DataFrame:
    """One row per model and setting: "none", or the route that is masked. Accuracies and probabilities are in percent.

    path: table of the rule attention; numbers: resources/published/masking.csv. part: "late" is the paper's Table 1, "early" the
    positive control, with one row per group of tasks besides the one of "all". change: points gained or lost against "none" on
    the same questions, with the 95 % interval of `paired_change`. probability: mean probability of the token that is answered
    without a mask. published_change: the same difference between the published accuracies. published_conditions: see
    `conditions.words`. asked: our own conditions, see `conditions`.
    """
    keep = [("kind", "in", list(PARTS)), ("dataset", "=", dataset)]
    columns = ["kind", "model", "question_id", "cluster", "group", "name", "layer", "correct", "values"]
    rows, found = pq.read_table(path, columns=columns, filters=keep).to_pandas(), []
    rows["probability"] = np.exp(rows["values"].str[0].astype(float))
    rows["part"] = rows["kind"].map(PARTS)
    for model, every in rows.groupby("model", sort=False):
        known = numbers[
            (numbers["dataset"] == dataset) & numbers["model"].map(lambda m, model=model: published.same_model(m, model))
        ]
        known = known.set_index("setting")
        for part, group, mine in _parts(every):
            for entry in _settings(mine, draws, seed):
                entry = dict(model=model, part=part, group=group, **entry)
                if part == "late" and entry["setting"] in known.index:
                    row, ours = known.loc[entry["setting"]], conditions.here(asked, dataset, model)
                    accuracy = float(row["accuracy"])
                    entry |= dict(published=accuracy, published_change=accuracy - float(known.loc["none", "accuracy"]))
                    entry["published_source"] = row["source"]
                    entry["published_conditions"] = conditions.words(row["fps"], row["prompt"], ours)
                found.append(entry)
    table = pd.DataFrame(found)
    names = ["published", "published_change", "published_source", "published_conditions"]
    return table.reindex(columns=[c for c in table.columns if c not in names] + names)


def _parts(rows: pd.DataFrame):
    """Part, group and rows of one model: Table 1, then the positive control for all questions and for each group."""
    for part, mine in rows.groupby("part", sort=False):
        yield part, "all", mine
        if part == "early":
            for group in ordered(mine["group"]):
                yield part, group, mine[mine["group"] == group]


def _settings(rows: pd.DataFrame, draws: int, seed: int):
    """One entry per setting of a part, against the part's own "none"."""
    wide = rows.pivot(index=["question_id", "cluster"], columns="name", values="correct").astype(float)
    for setting in pd.unique(rows["name"]):
        pairs = wide[["none", setting]].dropna()
        change = low = high = np.nan
        if setting != "none":
            change, low, high = paired_change(pairs["none"], pairs[setting], pairs.index.get_level_values("cluster"), draws, seed)
        entry = dict(setting=setting, first_layer=int(rows["layer"].iloc[0]), n=int(wide[setting].count()))
        entry["probability"] = 100 * rows.loc[rows["name"] == setting, "probability"].mean()
        yield entry | dict(accuracy=100 * wide[setting].mean(), change=change, ci_low=low, ci_high=high)
