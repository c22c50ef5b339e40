"""Measures of attention: where the last token looks, which tokens are sinks, and what each layer would answer."""

import numpy as np
import pandas as pd

from . import attention
from .answers import LETTERS
from .route_measures import NOTHING
from .study_tables import Tables, of_group


def _within(rows: pd.DataFrame, tables: Tables, claim: dict, model: str) -> pd.DataFrame:
    last = tables.layers(model) - 1
    first, stop = claim["layers"] if "layers" in claim else [depth * last for depth in claim.get("depths", (0, 1))]
    return rows[rows["layer"].between(first - 0.5, stop + 0.5)]


def _attention(tables, claim, model):
    """% of the last token's attention that goes to a class of tokens, as a mean over layers, heads and questions."""
    rows = tables.attended(("shares",), claim, model)
    if rows is None:
        return NOTHING
    rows = of_group(rows[rows["name"] == claim["name"]], claim)
    rows = _within(rows, tables, claim, model)
    if not len(rows):
        return NOTHING
    rows = rows.assign(share=[100 * np.mean(heads) for heads in rows["values"]])
    rows = rows.groupby(["question_id", "cluster"])["share"].mean().reset_index()
    mean, low, high = tables.interval(rows[["share"]], rows["cluster"])
    return mean[0], low[0], high[0], len(rows)


def _sinks(tables, claim, model):
    """Sink tokens of a class per question and layer; column `first`: % of them that are a frame's or an item's first token."""
    data = tables.dataset(claim)
    if tables.path("attention") is None:
        return NOTHING
    rows = tables.once(("sinks", data, model), lambda: attention.sinks(tables.path("attention"), [model], data))
    if not len(rows):
        return NOTHING
    n, rows = int(rows["n"].max()), _within(rows, tables, claim, model)
    layers = rows["layer"].nunique()
    mine = rows if claim.get("name", "all") == "all" else rows[rows["name"] == claim["name"]]
    column = claim.get("column", "sinks")
    if column == "sinks":
        return mine["sinks"].sum() / layers if layers else np.nan, np.nan, np.nan, n
    if not mine["sinks"].sum():
        return NOTHING
    return 100 * np.average(mine[column], weights=mine["sinks"]), np.nan, np.nan, n


def _readout(tables, claim, model):
    """% that the layers' states at the last token give the right option, read through the model's own last norm and head."""
    rows = tables.attended(("lens",), claim, model)
    if rows is None:
        return NOTHING
    rows = _within(of_group(rows[rows["correct_clean"].astype(bool)], claim), tables, claim, model)
    if not len(rows):
        return NOTHING
    place = [LETTERS.index(gold) if pd.isna(number) else int(number) for number, gold in zip(rows["number"], rows["gold"])]
    rows = rows.assign(right=[100 * float(np.exp(values[at])) for values, at in zip(rows["values"], place)])
    rows = rows.groupby(["question_id", "cluster"])["right"].mean().reset_index()
    mean, low, high = tables.interval(rows[["right"]], rows["cluster"])
    return mean[0], low[0], high[0], len(rows)


def _flow(tables, claim, model):
    """% of the attention of a `query` (last, question) that goes to a class in the maps, uncut or cut. n counts maps."""
    rows = tables.attended(("map", "bins"), claim, model)
    if rows is None or not len(rows):
        return NOTHING
    found = tables.once(("flows", tables.dataset(claim), model), lambda: attention.flows(rows))
    found = found[(found["name"] == claim["name"]) & (found["query"] == claim.get("query", "last"))]
    found = _within(found[found["variant"] == claim.get("variant", "uncut")], tables, claim, model)
    if not len(found):
        return NOTHING
    return 100 * float(found["share"].mean()), np.nan, np.nan, int(found["n"].sum())


def _removed(tables, claim, model):
    """% of the target's attention that a cut takes away, as a mean over the claim's windows, control draws and questions."""
    rows = tables.parquet(f"knockout_{claim['analysis']}")
    if rows is None or "removed_mass" not in rows:
        return NOTHING
    control = "random_same" if claim.get("control") == "random" else "none"
    rows = rows[(rows["model"] == model) & (rows["dataset"] == tables.dataset(claim)) & (rows["route"] == claim["route"])]
    rows = rows[(rows["control"] == control) & (rows["cut"] == "mask") & rows["applicable"] & rows["correct_clean"]]
    rows = _within(of_group(rows, claim).rename(columns={"centre": "layer"}), tables, claim, model)
    if not len(rows):
        return NOTHING
    share = 100 * rows.groupby(["question_id", "cluster"])["removed_mass"].mean()
    mean, low, high = tables.interval(share.to_numpy()[:, None], share.index.get_level_values("cluster"))
    return mean[0], low[0], high[0], len(share)


MEASURES = {"attention": _attention, "sinks": _sinks, "readout": _readout, "flow": _flow, "removed": _removed}
