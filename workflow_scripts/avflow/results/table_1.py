"""Table 1: accuracy with attention masked in the last layers, against the same questions without a mask."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import conditions, published
from .statistics import paired_change


def masking_table(path, dataset: str, numbers: pd.DataFrame, draws: int, seed: int, asked: dict | None = None) -> pd.DataFrame:
    """One row per model and setting: "none", or the route that is masked. Accuracies and probabilities are in percent.

    path: table of the rule attention; numbers: resources/published/masking.csv. change: points gained or lost against "none" on
    the same questions, with the 95 % interval of `paired_change`. probability: mean probability of the token that is answered
    without a mask. published_change: the same difference between the published accuracies. published_conditions: see
    `conditions.words`. asked: our own conditions, see `conditions`.
    """
    keep = [("kind", "=", "masked"), ("dataset", "=", dataset)]
    columns = ["model", "question_id", "cluster", "name", "layer", "correct", "values"]
    rows, found = pq.read_table(path, columns=columns, filters=keep).to_pandas(), []
    rows["probability"] = np.exp(rows["values"].str[0].astype(float))
    for model, mine in rows.groupby("model", sort=False):
        wide = mine.pivot(index=["question_id", "cluster"], columns="name", values="correct").astype(float)
        known = numbers[
            (numbers["dataset"] == dataset) & numbers["model"].map(lambda m, model=model: published.same_model(m, model))
        ]
        known = known.set_index("setting")
        for setting in pd.unique(mine["name"]):
            pairs = wide[["none", setting]].dropna()
            clusters = pairs.index.get_level_values("cluster")
            change = low = high = np.nan
            if setting != "none":
                change, low, high = paired_change(pairs["none"], pairs[setting], clusters, draws, seed)
            entry = dict(model=model, setting=setting, first_layer=int(mine["layer"].iloc[0]), n=int(wide[setting].count()))
            entry["probability"] = 100 * mine.loc[mine["name"] == setting, "probability"].mean()
            entry |= dict(accuracy=100 * wide[setting].mean(), change=change, ci_low=low, ci_high=high)
            if setting in known.index:
                accuracy = float(known.loc[setting, "accuracy"])
                entry |= dict(published=accuracy, published_change=accuracy - float(known.loc["none", "accuracy"]))
                row, ours = known.loc[setting], conditions.here(asked, dataset, model)
                entry["published_source"] = row["source"]
                entry["published_conditions"] = conditions.words(row["fps"], row["prompt"], ours)
            found.append(entry)
    table = pd.DataFrame(found)
    names = ["published", "published_change", "published_source", "published_conditions"]
    return table.reindex(columns=[c for c in table.columns if c not in names] + names)
