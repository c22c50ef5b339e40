"""Measures of curves: how much a route's cut changes the answer, and in which layers.

A curve is the mean change in % by centre of the window. `route` and `group` may be lists; the extremes are then those of all
their curves, and `mean` and places pool the questions. `layers` are the first and last centre that count, as numbers of the
model's layers; `depths` are the same from 0 (the first layer) to 1 (the last), for claims about models of different depths.
"""

import numpy as np

from .effects import bands
from .statistics import Clustered
from .study_tables import Tables, in_group, of_group

FOUND = 1.0  # percent: a larger mean change counts as an effect
SHARE = 1 / 3  # a window belongs to an effect if it shows at least this share of the curve's extreme
NOTHING = (np.nan, np.nan, np.nan, 0)


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def curve_rows(tables: Tables, claim: dict, model: str, routes):
    """Rows of the claim's cuts of some routes within its group and layers; None if any of the routes has none."""
    rows = tables.cuts_of(claim, model, listed(routes))
    if rows is None:
        return None
    last = tables.layers(model) - 1
    first, stop = claim["layers"] if "layers" in claim else [depth * last for depth in claim.get("depths", (0, 1))]
    rows = rows[rows["centre"].between(first - 0.5, stop + 0.5) & in_group(rows, claim)]
    return rows if set(listed(routes)) <= set(rows["route"].unique()) else None


def _wide(rows):
    """One row per question and route, one column per centre."""
    return rows.pivot(index=["question_id", "route", "cluster"], columns="centre", values="change")


def curve(tables: Tables, claim: dict, model: str, route: str, group):
    """Centres, mean, low and high (layers,) and n of one route and group; None without rows."""

    def found():
        rows = curve_rows(tables, {**claim, "group": group}, model, route)
        if rows is None or not len(rows):
            return None
        wide = _wide(rows)
        return wide.columns.to_numpy(), *tables.interval(wide.to_numpy(), wide.index.get_level_values("cluster")), len(wide)

    names = ("analysis", "data", "cut", "style", "width", "answered", "control", "layers", "depths")
    return tables.once(("curve", model, route, str(group), *(str(claim.get(name)) for name in names)), found)


def _extreme(which):
    """The extreme of all curves of the claim's routes and groups. A curve without rows leaves the claim without a value."""

    def measure(tables, claim, model):
        curves = [
            curve(tables, claim, model, route, group)
            for route in listed(claim["route"])
            for group in listed(claim.get("group", "all"))
        ]
        if any(found is None for found in curves):
            return NOTHING
        mean, low, high = (np.concatenate([found[part] for found in curves]) for part in (1, 2, 3))
        at = which(mean)
        return mean[at], low[at], high[at], min(found[4] for found in curves)

    return measure


def _weakest(tables, claim, model):
    """Of the lowest points of all curves of the claim's routes and groups, the highest: every one of them falls as low."""
    curves = [
        curve(tables, claim, model, route, group)
        for route in listed(claim["route"])
        for group in listed(claim.get("group", "all"))
    ]
    if any(found is None or np.isnan(found[1]).any() for found in curves):
        return NOTHING
    lowest = [(found[1].min(), found[2][found[1].argmin()], found[3][found[1].argmin()]) for found in curves]
    return *max(lowest), min(found[4] for found in curves)


def _elsewhere(tables, claim, model):
    """The mean change farthest from 0 in the cells, a route in a group, that no other rule names; 0 if all are named."""
    rows = tables.cuts(claim, model)
    if rows is None or not len(rows):
        return NOTHING
    rows = of_group(rows, claim)
    cells = set(zip(rows["route"], rows["group"]))
    if len(cells) < rows["route"].nunique() * rows["group"].nunique():
        return NOTHING
    named = {(route, group) for route, group, models in claim["named"] if model in (models or [model])}
    count = rows["question_id"].nunique()
    rows = rows[[cell not in named for cell in zip(rows["route"], rows["group"])]]
    if not len(rows):
        return 0.0, np.nan, np.nan, count
    found = rows.groupby(["route", "group", "centre"])["change"].agg(["sum", "size"])
    mean = found["sum"] / found["size"]
    missing = rows["change"].isna().any()
    return (
        np.nan if missing else mean.loc[mean.abs().idxmax()],
        np.nan,
        np.nan,
        int(found["size"].sum() / rows["centre"].nunique()),
    )


def _band(tables, claim, model):
    """The upper edge of the simultaneous band at a route's lowest point: below 0, the band excludes 0 there.

    The band is that of a figure's panel: it holds all layers and routes of the analysis in the claim's group.
    """
    rows = tables.cuts(claim, model)
    if rows is None:
        return NOTHING
    key = (
        "bands",
        claim.get("analysis", "figure_4"),
        tables.dataset(claim),
        claim.get("control"),
        claim.get("cut"),
        model,
        str(claim.get("group")),
    )
    curves = tables.once(key, lambda: bands(of_group(rows, claim), tables.draws, tables.seed))
    if claim["route"] not in curves:
        return NOTHING
    found = curves[claim["route"]]
    return found.high[found.mean.argmin()], np.nan, np.nan, found.n


def _mean(tables, claim, model):
    rows = curve_rows(tables, claim, model, claim["route"])
    if rows is None:
        return NOTHING
    rows = rows.groupby(["question_id", "cluster"])["change"].mean().reset_index()
    mean, low, high = tables.interval(rows[["change"]], rows["cluster"])
    return mean[0], low[0], high[0], len(rows)


def effect_windows(mean, sign: int):
    """Each centre's share in the fall (sign -1) or rise (1), (..., layers): its change, or 0 if below SHARE of the extreme."""
    change = np.clip(sign * np.asarray(mean), 0, None)
    return np.where(change >= SHARE * change.max(-1, keepdims=True), change, 0.0)


def _place(sign: int, relative: bool):
    """The middle of a fall or rise: the mean of its centres, weighted by their changes; NaN if there is none above FOUND.

    A step that happens in one layer shows in every window that holds the layer, so their middle is that layer.
    """

    def measure(tables, claim, model):
        rows = curve_rows(tables, claim, model, claim["route"])
        if rows is None:
            return NOTHING
        wide = _wide(rows)
        data, centres = Clustered(wide.to_numpy(), wide.index.get_level_values("cluster")), wide.columns.to_numpy()
        if np.max(sign * data.mean) < FOUND:
            return np.nan, np.nan, np.nan, len(wide)
        drawn = [data.mean + (w @ data.off) / (w @ data.counts) for _, w in data.resamples(tables.draws, tables.seed)]
        means = np.vstack([data.mean, *drawn])
        weights = effect_windows(means, sign)
        with np.errstate(invalid="ignore"):
            places = weights @ centres / weights.sum(-1) / (tables.layers(model) - 1 if relative else 1)
        low, high = np.nanpercentile(places[1:], [2.5, 97.5])
        return places[0], low, high, len(wide)

    return measure


def _windows(tables, claim, model):
    """The number of windows that belong to a fall."""
    rows = curve_rows(tables, claim, model, claim["route"])
    if rows is None:
        return NOTHING
    wide = _wide(rows)
    found = effect_windows(wide.mean().to_numpy(), -1)
    return float((found > 0).sum()), np.nan, np.nan, len(wide)


def _order(tables, claim, model):
    """Layers from the fall of `route` to the fall of `then`. The interval takes both places as far apart as they may be."""
    first, then = (_place(-1, False)(tables, {**claim, "route": claim[key]}, model) for key in ("route", "then"))
    return then[0] - first[0], then[1] - first[2], then[2] - first[1], min(first[3], then[3])


def beside_control(tables: Tables, claim: dict, model: str) -> tuple[float, float]:
    """A route's effect and its size-matched random control's, in %, on the questions that have both; NaN if none has.

    For the lowest and the highest change, both are read at the centre where the route's is.
    """
    real, control = (curve_rows(tables, {**claim, "control": kind}, model, claim["route"]) for kind in ("none", "random"))
    if real is None or control is None:
        return np.nan, np.nan
    key = ["question_id", "route", "centre"]
    both = real.merge(control[[*key, "change"]], on=key, suffixes=("", "_control"))
    if not len(both):
        return np.nan, np.nan
    curves = both.groupby(["route", "centre"])[["change", "change_control"]].mean()
    if claim["measure"] == "mean":
        return tuple(curves.mean())
    at = curves["change"].idxmin() if claim["measure"] == "lowest" else curves["change"].idxmax()
    return tuple(curves.loc[at])


MEASURES = {
    "lowest": _extreme(np.argmin),
    "highest": _extreme(np.argmax),
    "largest": _extreme(lambda mean: np.abs(mean).argmax()),
    "weakest": _weakest,
    "elsewhere": _elsewhere,
    "band": _band,
    "mean": _mean,
    "centre_of_fall": _place(-1, False),
    "depth_of_fall": _place(-1, True),
    "depth_of_rise": _place(1, True),
    "windows": _windows,
    "order": _order,
}
