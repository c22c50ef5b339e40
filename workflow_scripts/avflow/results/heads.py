"""Which heads carry a route: the effect of a cut in each head alone, and in the strongest heads together.

Effects are the % change of the answer's probability, on questions answered correctly, in the default order of the prompt.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..questions import layouts
from .statistics import cluster_bootstrap

ALL = "all"  # the value of `heads` for a cut in all heads
KINDS = {"none": "strongest", "random_heads": "random"}  # control -> kind of a curve
COLUMNS = ["model", "route", "kind", "layer", "heads", "n_heads", "share", "n", "change", "ci_low", "ci_high"]


def _rows(path, models, dataset: str) -> pd.DataFrame:
    columns = ["model", "question_id", "cluster", "route", "window_start", "window_stop", "control", "draw", "heads"]
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("correct_clean", "=", True), ("applicable", "=", True)]
    keep += [("control", "in", list(KINDS)), ("cut", "=", "mask"), ("layout", "not in", layouts.NAMES)]
    rows = pq.read_table(path, columns=[*columns, "logp_base", "p_base_clean"], filters=keep).to_pandas()
    return rows.assign(change=100 * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1))


def alone(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """The mean change by model, route, layer and heads, with a pointwise interval: COLUMNS of kind "alone".

    heads: the number of a head, several with commas for a group, or ALL for all heads of the layer.
    """
    found = []
    for (model, route), here in _rows(path, models, dataset).groupby(["model", "route"], sort=False):
        units = here.pivot(index=["question_id", "cluster"], columns=["window_start", "heads"], values="change")
        numbers = cluster_bootstrap(units.to_numpy(), units.index.get_level_values("cluster"), draws, seed)
        for (layer, heads), mean, low, high in zip(units.columns, *numbers):
            entry = dict(model=model, route=route, kind="alone", layer=layer, heads=heads, n=len(units))
            found.append(entry | dict(change=mean, ci_low=low, ci_high=high))
    return pd.DataFrame(found, columns=COLUMNS).astype({"layer": "Int64", "n_heads": "Int64"})


def together(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """The mean change by model, route, kind and number of heads cut together: COLUMNS of kinds "strongest" and "random".

    Random choices are first averaged for each question. The cut in all heads belongs to both kinds. share: of all heads.
    """
    rows, found = _rows(path, models, dataset), []
    rows = rows.assign(n_heads=[*map(count, rows["heads"], rows["window_stop"] - rows["window_start"])])
    rows = rows.assign(kind=rows["control"].map(KINDS), most=rows.groupby("model")["n_heads"].transform("max"))
    whole = rows[(rows["n_heads"] == rows["most"]) & (rows["kind"] == "strongest")]
    rows = pd.concat([rows, whole.assign(kind="random")])
    for (model, route, kind), here in rows.groupby(["model", "route", "kind"], sort=False):
        sets = here.groupby(["question_id", "cluster", "n_heads"])["change"].mean().unstack("n_heads")
        numbers = cluster_bootstrap(sets.to_numpy(), sets.index.get_level_values("cluster"), draws, seed)
        for n_heads, mean, low, high in zip(sets.columns, *numbers):
            entry = dict(model=model, route=route, kind=kind, n_heads=n_heads, share=n_heads / here["most"].iloc[0], n=len(sets))
            found.append(entry | dict(change=mean, ci_low=low, ci_high=high))
    return pd.DataFrame(found, columns=COLUMNS).astype({"layer": "Int64", "n_heads": "Int64"})


def count(heads: str, layers: int) -> int:
    """How many (layer, head) pairs a text names: "4:0,2 5:1" three, and "0,2" two in each of the window's layers."""
    if ":" not in heads:
        return layers * len(heads.split(","))
    return sum(len(some.partition(":")[2].split(",")) for some in heads.split())
