"""Measures of single heads, and of the strongest heads cut together."""

import numpy as np

from . import heads
from .route_measures import NOTHING
from .study_tables import Tables


def _alone(tables: Tables, claim: dict, model: str):
    """Single heads of a route by layer, or the cuts of all heads: COLUMNS of `heads.alone`. None without the table."""
    path, data = tables.path("knockout_heads"), tables.dataset(claim)
    if path is None:
        return None
    rows = tables.once(("heads", model, data), lambda: heads.alone(path, [model], data, tables.draws, tables.seed))
    rows = rows[rows["route"] == claim["route"]]
    return rows[rows["heads"] == heads.ALL] if claim.get("all") else rows[rows["heads"] != heads.ALL]


def _head(tables, claim, model):
    """Change in % if the route is cut in the one head that costs most; with `all`, in all heads of the one layer that does."""
    rows = _alone(tables, claim, model)
    if rows is not None and "layers" in claim:
        rows = rows[rows["layer"].between(*claim["layers"])]
    if rows is None or not len(rows):
        return NOTHING
    row = rows.loc[rows["change"].idxmin()]
    return float(row["change"]), float(row["ci_low"]), float(row["ci_high"]), int(row["n"])


def _head_layer(tables, claim, model):
    """The mean layer of single heads, each with the weight of what its cut costs."""
    rows = _alone(tables, claim, model)
    if rows is None or not len(rows):
        return NOTHING
    cost = (-rows["change"]).clip(lower=0).to_numpy()
    return (
        float(np.average(rows["layer"].astype(float), weights=cost)) if cost.any() else np.nan,
        np.nan,
        np.nan,
        int(rows["n"].max()),
    )


def _heads_together(tables, claim, model):
    """Change in % if about a `share` of all heads is cut: the strongest ones, or with `drawn: true` random ones."""
    path, data = tables.path("knockout_head_sets"), tables.dataset(claim)
    if path is None:
        return NOTHING
    rows = tables.once(("head sets", model, data), lambda: heads.together(path, [model], data, tables.draws, tables.seed))
    rows = rows[(rows["route"] == claim["route"]) & (rows["kind"] == ("random" if claim.get("drawn") else "strongest"))]
    if not len(rows):
        return NOTHING
    row = rows.loc[(rows["share"] - claim["share"]).abs().idxmin()]
    return float(row["change"]), float(row["ci_low"]), float(row["ci_high"]), int(row["n"])


MEASURES = {"head": _head, "head_layer": _head_layer, "heads_together": _heads_together}
