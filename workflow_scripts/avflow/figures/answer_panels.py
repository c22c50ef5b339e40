"""What each layer would answer, and how many answers survive cumulative cuts or keeping only the found routes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..results import ordered, title
from ..results.answers import DIRECTIONS
from ..results.effects import LEAST
from . import curves, legends, palette
from .route_panels import COLUMNS
from .route_styles import colours, route_label

NONE_RIGHT = "no question is answered right"
LETTER_COLUMNS = 5  # panels in a row
KINDS = {"correct": ("correct option", palette.CORRECT), "wrong": ("mean of the wrong options", palette.WRONG)}


def probability_panels(table: pd.DataFrame, models, least: int = LEAST):
    """What each layer would answer: one block of rows per model, one panel per group of tasks. table: from `by_layer`.

    least: the fewest questions of a curve with a band.
    """
    groups = ordered(table["group"]) or [""]
    figure, grids = _grids(len(models), len(groups), LETTER_COLUMNS, (2.1, 1.9))
    for model, axes in zip(models, grids):
        for axis, group in zip(axes.flat, groups):
            here = table[(table["model"] == model) & (table["group"] == group)]
            for place, (kind, (_, colour)) in enumerate(KINDS.items()):
                one = here[here["kind"] == kind]
                curve = (one[name] for name in ("layer", "probability", "ci_low", "ci_high"))
                curves.draw(axis, *curve, _n(here), colour, place, len(KINDS), least)
            axis.set(title=title(group), ylim=(-0.03, 1.05), xlabel="After layer")
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.text(
                0.04,
                0.9,
                curves.too_few([_n(here)], least) or f"n = {_n(here)}",
                transform=axis.transAxes,
                fontsize=7,
                color=palette.NOTE,
            )
            if not len(here):
                axis.text(0.5, 0.5, NONE_RIGHT, transform=axis.transAxes, ha="center", va="center", fontsize=6)
        for axis in axes[:, 0]:
            axis.set_ylabel(f"{model}\nProbability of the letter")
    handles = [curves.handle(colour, label) for label, colour in KINDS.values()]
    legends.fitted(figure, handles, 2, loc="outside upper center")
    return figure


def _grids(blocks: int, panels: int, columns: int, size: tuple[float, float]):
    """A figure, and the axes of each block below the other (deep, across): some panels, of which `columns` stand in a row.

    size: of a panel, in inches. Axes beyond the last panel are off.
    """
    across = min(columns, panels)
    deep = -(-panels // across)
    figure, axes = plt.subplots(
        blocks * deep,
        across,
        squeeze=False,
        sharex="row",
        sharey=True,
        figsize=(size[0] * across + 0.7, size[1] * blocks * deep + 0.7),
    )
    grids = axes.reshape(blocks, deep, across)
    for axis in grids.reshape(blocks, -1)[:, panels:].flat:
        axis.set_axis_off()
    return figure, grids


def _n(table: pd.DataFrame) -> int:
    return int(table["n"].max()) if len(table) else 0


def cumulative_panels(table: pd.DataFrame, models, routes, least: int = LEAST):
    """Accuracy under cumulative cuts. table: from `answers_kept`. least: the fewest questions of a curve with a band.

    Each model has two blocks: cuts up to a layer, and cuts from a layer on. There is one panel per group and one line per route.
    """
    groups, colour_of = ordered(table["group"]) or [""], colours(routes)
    rows = [(model, style) for model in models for style in DIRECTIONS]
    figure, grids = _grids(len(rows), len(groups), COLUMNS, (2.6, 1.75))
    for (model, style), axes in zip(rows, grids):
        for axis, group in zip(axes.flat, groups):
            here = table[(table["model"] == model) & (table["group"] == group) & (table["style"] == style)].sort_values("centre")
            for place, (route, colour) in enumerate(colour_of.items()):
                one = here[here["route"] == route]
                curve = (100 * one[name] for name in ("accuracy", "accuracy_low", "accuracy_high"))
                curves.draw(axis, one["centre"], *curve, _n(one), colour, place, len(colour_of), least, linewidth=1.6)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set(ylim=(-3, 105))
            axis.text(
                0.03,
                0.05,
                curves.too_few([_n(here)], least) or f"n = {_n(here)}",
                transform=axis.transAxes,
                fontsize=7,
                color=palette.NOTE,
            )
            if not len(here):
                axis.text(0.5, 0.5, NONE_RIGHT, transform=axis.transAxes, ha="center", va="center", fontsize=6)
            axis.set_title(title(group))
            axis.set_xlabel(f"{DIRECTIONS[style]}", fontsize=8)
        for axis in axes[:, 0]:
            axis.set_ylabel(f"{model}\nAccuracy (%)")
    handles = [curves.handle(colour, route_label(route)) for route, colour in colour_of.items()]
    legends.fitted(figure, handles, 4, loc="outside upper center")
    return figure


WIDTH, HEIGHT = 2.1, 1.5  # points of a panel per percent


def _free_height(taken: list, at, words: str) -> int:
    """How many points above a point, at percents of both axes, its words stand clear of `taken` boxes. Takes their box, too.

    Words are written to the right of the point. A box is (left, right, bottom, top), in points.
    """
    left, middle = WIDTH * at[0] + 6, HEIGHT * at[1]
    for above in (-3, 6, -12, -22, -32, 16, 26, -42):
        box = (left, left + 3.4 * len(words), middle + above, middle + above + 7)
        if not any(box[0] < right and start < box[1] and box[2] < top and low < box[3] for start, right, low, top in taken):
            break
    taken.append(box)
    return above


def sufficiency_panels(table: pd.DataFrame, models):
    """Accuracy against the share of tested edges that stay open, one panel per model. table: from `sufficiency`."""
    figure, axes = plt.subplots(1, len(models), squeeze=False, sharey=True, figsize=(3.6 * len(models) + 0.5, 3.2))
    for model, axis in zip(models, axes[0]):
        mine = table[table["model"] == model]
        axis.set(xlabel="Tested edges that stay open (%)", title=f"{model}, n = {_n(mine)}", xlim=(-5, 105), ylim=(0, 109))
        if not len(mine):
            axis.text(0.5, 0.5, NONE_RIGHT, transform=axis.transAxes, ha="center", va="center", fontsize=6)
            continue
        ends = mine[mine["kind"].isin(["all", "none"])].sort_values("share")
        axis.plot(
            100 * ends["share"],
            100 * ends["accuracy"],
            color=palette.NEUTRAL,
            marker="s",
            linestyle="",
            label="all or none of the edges",
        )
        for kind, colour, label in (
            ("random", palette.RANDOM_EDGES, "same number of random edges"),
            ("found", palette.FOUND, "only the found routes"),
        ):
            one = mine[mine["kind"] == kind].sort_values("share")
            error = 100 * np.stack([one["accuracy"] - one["ci_low"], one["ci_high"] - one["accuracy"]]).clip(min=0)
            axis.errorbar(
                100 * one["share"],
                100 * one["accuracy"],
                error,
                color=colour,
                marker="o",
                markersize=4,
                linewidth=1.2,
                label=label,
            )
        found = mine[mine["kind"] == "found"].assign(place=lambda t: t["share"].round(2))
        points = zip(100 * WIDTH * found["share"], 100 * HEIGHT * found["accuracy"])
        taken = [(x - 3, x + 3, y - 3, y + 3) for x, y in points]
        for _, here in found.groupby("place"):  # points that lie on each other share a label
            words = ", ".join(f"{t:g}" for t in sorted(here["threshold"])) + " %"
            at = (100 * here["share"].iloc[0], 100 * here["accuracy"].iloc[0])
            beside = (6, _free_height(taken, at, words))
            axis.annotate(words, at, fontsize=6.5, xytext=beside, textcoords="offset points", color=palette.FOUND)
    axes[0, 0].set_ylabel("Accuracy (%)")
    handles = max((axis.get_legend_handles_labels()[0] for axis in axes[0]), key=len)
    legends.fitted(figure, handles, 3, loc="outside upper center")
    return figure
