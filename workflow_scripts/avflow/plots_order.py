"""Appendix D.3.1: do the routes move when the parts of the prompt stand in another order?

Cuts are read on all questions and follow the answer that the model gives in that order, right or wrong, since in orders that it
does not expect it is seldom right; so every panel says how often it is right, and whether that is more than chance.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import layouts
from .effects import Effects, Reading, noise_of, pointwise
from .plots import BLUE, CYAN, GREEN, ORANGE, PINK, PURPLE, RED, explained, line_panel, route_label
from .statistics import cluster_bootstrap

TITLES = {
    "original": "as shipped",
    "reference_first": "R, C, Q, O",
    "reference_last": "C, Q, O, R",
    "question_first": "Q, C, R, O",
}
CLIP_TITLES = {"question_first": "question, clip"}
REACH = {"reference->last": PINK, "candidates->last": CYAN, "question->last": RED, "options->last": ORANGE}
GATHER = {
    "candidates->reference": BLUE,
    "reference->candidates": PINK,
    "candidates->question": ORANGE,
    "reference->question": RED,
    "candidates->options": GREEN,
    "reference->options": PURPLE,
}
CLIP_REACH = {"question->last": ORANGE, "video->last": PINK, "audio->last": CYAN}
CLIP_GATHER = {"video->question": PURPLE, "audio->question": BLUE}


def rows_by_order(path, models: dict, dataset: str) -> pd.DataFrame:
    """Real cuts and null rows of the questions that were asked in several orders; `change` as in `effects.changes`.

    models: name -> width of the window. No rows where path is empty.
    """
    columns = "model question_id cluster dataset group layout route style width centre control"
    columns += " logp_base p_base_clean correct_clean applicable"
    if not path:
        return pd.DataFrame(columns=[*columns.split(), "change", "noise"])
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("cut", "=", "mask"), ("control", "in", ("none", "null"))]
    rows = pq.read_table(path, columns=columns.split(), filters=keep).to_pandas()
    several = rows.groupby(["model", "question_id"])["layout"].transform("nunique") > 1
    real = (rows["style"] == "centred") & (rows["width"] == rows["model"].map(models)) & rows["applicable"].astype(bool)
    rows = rows[several & (real | (rows["control"] == "null"))]
    change = 100 * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1)
    return rows.assign(change=change, noise=noise_of(rows, rows[rows["control"] == "null"]))


def orders_of(rows: pd.DataFrame) -> list[str]:
    """The orders that occur, the default one first."""
    found = list(pd.unique(rows["layout"]))
    return sorted(found, key=lambda name: (name in layouts.NAMES, layouts.NAMES.index(name) if name in layouts.NAMES else 0))


def summary(rows: pd.DataFrame, routes, draws: int, seed: int) -> pd.DataFrame:
    """By model, order and group: n, accuracy with its interval, and the deepest mean change of every route with its centre."""
    found = []
    for (model, order), mine in rows.groupby(["model", "layout"], sort=False):
        for group, some in [("all", mine), *mine.groupby("group")]:
            asked = some[some["control"] == "null"].drop_duplicates("question_id")
            right, low, high = cluster_bootstrap(asked[["correct_clean"]].astype(float), asked["cluster"], draws, seed)
            entry = dict(model=model, dataset=rows["dataset"].iloc[0], layout=order, group=group)
            entry.update(n=len(asked), accuracy=right[0])
            entry.update(accuracy_low=low[0], accuracy_high=high[0])
            for route in routes:
                cuts = some[(some["route"] == route) & (some["control"] == "none")]
                if len(cuts):
                    curve = pointwise(cuts, draws, seed)
                    i = int(np.argmin(curve.mean))
                    effect = dict(centre=curve.centres[i], change=curve.mean[i], ci_low=curve.low[i], ci_high=curve.high[i])
                else:
                    effect = dict(centre=None, change=None, ci_low=None, ci_high=None)  # its queries come before its keys
                found.append({**entry, "route": route, **effect})
    return pd.DataFrame(found)


def order_panels(models, items: pd.DataFrame, clips: pd.DataFrame, table: pd.DataFrame, chance: float, draws: int, seed: int):
    """One column an order; above what the last token reads, below what gathers where. Left the items, right the clips.

    A block of panels a model. items, clips: from `rows_by_order`; table: the two summaries. chance: the accuracy of guessing.
    """
    sides = [
        (items, TITLES, "C, Q, R, O (Eq. 3)", REACH, GATHER),
        (clips, CLIP_TITLES, "clip, question (Eq. 1)", CLIP_REACH, CLIP_GATHER),
    ]
    sides = [side for side in sides if len(side[0])]
    widths = [len(orders_of(rows)) for rows, *_ in sides] or [1]
    figure = plt.figure(figsize=(1.9 * sum(widths) + 1.2, 5.4 * len(models)))
    for model, block in zip(models, figure.subfigures(len(models), 1, squeeze=False)[:, 0]):
        if len(models) > 1:
            block.suptitle(model, fontsize=10)
        _order_block(block, model, sides, widths, table[table["model"] == model], chance, draws, seed)
    figure.legend(handles=explained(), loc="outside lower center", fontsize=7)
    return figure


def _order_block(block, model, sides, widths, table, chance, draws, seed) -> None:
    """The panels of one model, under one y axis."""
    axes = []
    for part, (rows, titles, usual, *kinds) in zip(
        block.subfigures(1, len(widths), width_ratios=widths, squeeze=False)[0], sides
    ):
        orders, rows = orders_of(rows), rows[rows["model"] == model]
        grid = part.subfigures(2, 1)
        for band, routes in zip(grid, kinds):
            line = band.subplots(1, len(orders), sharey=True, squeeze=False)[0]
            for axis, order in zip(line, orders):
                here = rows[(rows["layout"] == order) & (rows["control"] == "none")]
                line_panel(axis, Effects(Reading("", draws=draws, seed=seed), here, here[:0], here[:0]), routes, routes)
                if band is grid[0] and len(rows):
                    axis.set_title(f"{titles.get(order, usual)}\n{_how_often_right(table, rows, order, chance)}", fontsize=8)
                axis.set_xlabel("Layer")
            line[0].set_ylabel("% Change in Probability")
            handles = [plt.Line2D([], [], color=colour, label=route_label(route)) for route, colour in routes.items()]
            band.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 1 + len(line)), fontsize=7)
            axes += list(line)
    if axes:
        low = min(axis.get_ylim()[0] for axis in axes)
        high = min(60, max(axis.get_ylim()[1] for axis in axes))  # an answer that was unlikely can become many times as likely
        for axis in axes:
            axis.set_ylim(low, high)


def _how_often_right(table, rows, order, chance: float) -> str:
    """ "right 45 %", and "chance" where the interval holds it."""
    one = table[(table["layout"] == order) & (table["group"] == "all") & (table["dataset"] == rows["dataset"].iloc[0])].iloc[0]
    guessing = one["accuracy_low"] <= chance <= one["accuracy_high"]
    return f"accuracy {100 * one['accuracy']:.0f} %{', chance' if guessing else ''}"
