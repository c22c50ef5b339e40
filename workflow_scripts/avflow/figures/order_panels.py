"""Appendix D.3.1: do the routes move when the parts of the prompt stand in another order?

In an order that a model does not expect, it is seldom right. So cuts are read on all questions, and the change is that of the
answer given in that order, right or wrong. Every panel states the accuracy, whether it is at chance, and how many questions
could be asked so.
"""

import matplotlib.pyplot as plt
import pandas as pd

from ..results import Reading
from ..results.orders import of_order, orders_of
from . import curves, legends
from .route_panels import HEADROOM, by_target, explained, line_panel, windows_said
from .route_styles import colours, route_label

TITLES = {
    "paper_eq3": "C, Q, R, O (Eq. 3)",
    "as_shipped": "as shipped",
    "original": "as shipped",
    "eq3": "C, Q, R, O (Eq. 3)",
    "reference_first": "R, C, Q, O",
    "reference_last": "C, Q, O, R",
    "question_first": "Q, C, R, O",
}
CLIP_TITLES = {"question_first": "question, clip"}


def order_panels(
    models, items: pd.DataFrame, clips: pd.DataFrame, table: pd.DataFrame, routes: dict, chance: float, draws: int, seed: int
):
    """One block per model, one column per order: above, what the last token reads; below, what gathers where.

    Items are on the left and clips on the right. items, clips: from `rows_by_order`; table: both summaries. routes: "items" and
    "clips" -> routes. chance: the accuracy of guessing.
    """
    sides = [
        (items, TITLES, "own order", *by_target(routes["items"])),
        (clips, CLIP_TITLES, "clip, question (Eq. 1)", *by_target(routes["clips"])),
    ]
    sides = [side for side in sides if len(side[0])]
    widths = [len(orders_of(rows)) for rows, *_ in sides] or [1]
    figure = plt.figure(
        figsize=(max(1.45 * sum(widths) + 1.2, legends.NARROWEST), 5.2 * len(models))
    )  # narrow, so that type stays large in print
    for model, block in zip(models, figure.subfigures(len(models), 1, squeeze=False)[:, 0]):
        if len(models) > 1:
            block.suptitle(model, fontsize=10)
        _order_block(block, model, sides, widths, table[table["model"] == model], chance, draws, seed)
    told = windows_said(pd.concat([rows[rows["control"] == "none"] for rows, *_ in sides])) if sides else ""
    legends.fitted(figure, explained(), 1, told, loc="outside lower center", fontsize=7, title_fontsize=7)
    return figure


def _order_block(block, model, sides, widths, table, chance, draws, seed) -> None:
    """The panels of one model, with the same limits of y."""
    axes = []
    for part, (rows, titles, usual, *kinds) in zip(
        block.subfigures(1, len(widths), width_ratios=widths, squeeze=False)[0], sides
    ):
        orders, rows = orders_of(rows), rows[rows["model"] == model]
        grid = part.subfigures(2, 1)
        for band, routes in zip(grid, reversed(kinds)):
            colour_of = colours(routes)
            line = band.subplots(1, len(orders), sharey=True, squeeze=False)[0]
            for axis, order in zip(line, orders):
                here = of_order(rows, order, colour_of, Reading("", draws=draws, seed=seed))
                line_panel(axis, here, colour_of, per_route=True)
                if band is grid[0] and len(rows):
                    axis.set_title(f"{titles.get(order, usual)}\n{_how_often_right(table, rows, order, chance)}", fontsize=8)
                axis.set_xlabel("Layer")
            line[0].set_ylabel("% Change in Probability")
            handles = [curves.handle(colour, route_label(route)) for route, colour in colour_of.items()]
            legends.fitted(band, handles, min(len(handles), 1 + len(line)), loc="outside upper center", fontsize=7)
            axes += list(line)
    if axes:
        low = min(axis.get_ylim()[0] for axis in axes)
        high = min(60, max(axis.get_ylim()[1] for axis in axes))  # an unlikely answer can become many times as likely
        for axis in axes:
            axis.set_ylim(low, high + HEADROOM * (high - low))


def _how_often_right(table, rows, order, chance: float) -> str:
    """ "accuracy 45 %", with ", chance" added if its interval holds the accuracy of guessing, and how many were not asked so."""
    one = table[(table["layout"] == order) & (table["group"] == "all") & (table["dataset"] == rows["dataset"].iloc[0])].iloc[0]
    guessing = one["accuracy_low"] <= chance <= one["accuracy_high"]
    fewer = f"\n{one['n']} of {one['n_asked']} questions" if one["n"] < one["n_asked"] else ""
    return f"accuracy {100 * one['accuracy']:.0f} %{', chance' if guessing else ''}{fewer}"
