"""What answers rest on: accuracy without a sense, beside the effect of cutting each sense's route to the question."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke

from ..results import SENSES, ordered, title
from . import legends, palette
from .route_styles import colours, route_label

HARD = "\u00a0"  # a space at which no line breaks
VARIANTS = {  # colours: `palette.VARIANTS`
    "as_is": "as it is",
    "muted": "sounds muted",
    "blanked": "pictures blanked",
    "text_only": "muted and blanked",
    "swapped": "another clip's sound",
}

WIDEST = 12  # inches of panels in a row


def reliance_panels(models, table: pd.DataFrame, sides: pd.DataFrame, graded: pd.DataFrame, effects: pd.DataFrame):
    """Panels of each model, in one row or two: (a) accuracy by task and variant; (b) each route's effect by its sense's worth.

    If there are graded tasks, (c) and (d) show accuracy and route effects over them. table: rows of `reliance` without the graded
    tasks; sides: from `areas`; graded: rows of `reliance` for the graded tasks; effects: from `dial`.
    """
    colour_of = colours(SENSES)
    models, of = list(models), lambda rows, model: rows[rows["model"] == model]
    most = max((len(of(table, model)) for model in models), default=1)
    widths = [min(max(3.6, 0.75 * most), 10), 2.8, *([2.6, 2.8] if len(graded) else [])]
    beside = sum(widths) <= WIDEST
    rows, across = (1, sum(widths)) if beside else (2, max(widths[0], sum(widths[1:])))
    figure = plt.figure(figsize=(across + 0.4, 0.5 + 2.6 * rows * len(models)))
    parts = figure.subfigures(rows * len(models), 1, squeeze=False)[:, 0]
    if beside:
        grid = [part.subplots(1, len(widths), width_ratios=widths) for part in parts]
    else:
        grid = [
            [above.subplots(), *below.subplots(1, len(widths) - 1, width_ratios=widths[1:], squeeze=False)[0]]
            for above, below in zip(parts[::2], parts[1::2])
        ]
    for model, axes in zip(models, grid):
        _variant_bars(axes[0], of(table, model))
        _area_points(axes[1], of(sides, model), colour_of)
        if len(models) > 1:
            axes[0].set_ylabel(f"{model}\nAccuracy (%)")
        if len(graded):
            _graded_accuracy(axes[2], of(graded, model))
            _graded_effects(axes[3], of(effects, model), colour_of)
            for axis in axes[2:]:
                axis.set_xlabel("Clips in which only sound tells (%)")
    headings = ("Accuracy without a sense; dashed: chance", "Effect of each sense's route", "Accuracy, graded")
    for axis, letter, heading in zip(grid[0], "abcd", (*headings, "Effect of a route, graded")):
        axis.set_title(f"({letter}) {heading}")
    legends.fitted(figure, grid[0][0].get_legend_handles_labels()[0], len(VARIANTS), loc="outside upper center")
    return figure


def _variant_bars(axis, table) -> None:
    at = np.arange(len(table))
    for i, (variant, label) in enumerate(VARIANTS.items()):
        error = 100 * np.stack([table[variant] - table[f"{variant}_low"], table[f"{variant}_high"] - table[variant]])
        x = at + 0.17 * (i - 2)
        axis.bar(
            x, 100 * table[variant], 0.16, yerr=error, color=palette.VARIANTS[variant], label=label, error_kw={"linewidth": 0.8}
        )
    axis.hlines(100 * table["chance"], at - 0.45, at + 0.45, color=palette.CHANCE, linestyle="--", linewidth=1)
    names = [t if t == g or g not in ("A2I", "I2A") or "-to-" in t else f"{t} {g}" for t, g in zip(table["task"], table["group"])]
    labels = [name.replace("_", " ").replace("-to-", " to ") for name in names]
    if len(table) < 9:
        axis.set_xticks(at, [f"{label}\n(needs {needs})" for label, needs in zip(labels, table["needs"])], fontsize=6)
    else:
        axis.set_xticks(at, labels, fontsize=6, rotation=35, ha="right")
    axis.set(ylim=(0, 109), ylabel="Accuracy (%)")


def _points(axis, x, y, ends, colour: str, label: str) -> None:
    """Points with intervals. ends: a table with the columns low and high."""
    error = np.stack([y - ends["low"], ends["high"] - y])
    axis.errorbar(x, y, error, color=colour, marker=palette.MARKERS[colour], markersize=4, linestyle="", label=label)


def _area_points(axis, sides, colour_of) -> None:
    axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8)
    for route, here in sides.groupby("route", sort=False) if len(sides) else []:
        _points(axis, here["lost"], here["area"], here, colour_of[route], route_label(route))
    numbers = {group: number for number, group in enumerate(ordered(sides["group"]), 1)} if len(sides) else {}
    near = sides.groupby([(sides["lost"] / 8).round(), (sides["area"] / 3).round()]) if len(sides) else []
    for _, here in near:  # points that lie on each other share a label
        names = ", ".join(str(number) for number in sorted({numbers[group] for group in here["group"]}))
        right = here["lost"].mean() > 0.6 * sides["lost"].max()
        place = here["lost"].max(), here["area"].max()
        look = dict(ha="right" if right else "left", va="bottom", textcoords="offset points", color=palette.CHANCE, zorder=4)
        outline = [withStroke(linewidth=2, foreground=palette.PAPER)]
        axis.annotate(names, place, fontsize=6.5, xytext=(-4 if right else 4, 4), path_effects=outline, **look)
    named = [f"{number} {title(group)}".replace(" ", HARD) for group, number in numbers.items()]
    key = textwrap.fill(", ".join(named), 52).replace(HARD, " ")
    axis.set_xlabel(f"Accuracy lost without the sense (points)\n{key}", fontsize=8)
    axis.set_ylabel("Mean % change over all layers")
    if len(sides):
        low, high = axis.get_ylim()
        axis.set_ylim(low - 0.3 * (high - low), high + 0.12 * (high - low))  # room for the legend, and for labels at the top
        axis.legend(loc="lower center", fontsize=6.5)


def _graded_accuracy(axis, graded) -> None:
    order = graded.sort_values("needs_audio")
    share = 100 * order["needs_audio"]
    for (variant, colour), marker in zip(palette.VARIANTS.items(), "osDv^"):
        axis.plot(share, 100 * order[variant], color=colour, marker=marker, markersize=4)
        axis.fill_between(share, 100 * order[f"{variant}_low"], 100 * order[f"{variant}_high"], color=colour, alpha=0.2, lw=0)
    axis.axhline(25, color=palette.CHANCE, linestyle="--", linewidth=1)
    axis.set(ylim=(0, 109), ylabel="Accuracy (%)")


def _graded_effects(axis, effects, colour_of) -> None:
    drawn = effects.sort_values("needs_audio").groupby("route", sort=False) if len(effects) else []
    for route, here in drawn:
        share = 100 * here["needs_audio"]
        slope, start = np.polyfit(share, here["mean"], 1)
        axis.plot(share, start + slope * share, color=colour_of[route], linewidth=1, linestyle="--")
        label = f"{route_label(route)} (layer {here['centre'].iloc[0]})"
        _points(axis, share, here["mean"], here, colour_of[route], label)
    axis.set(ylim=(-125, 8), ylabel="% Change in Probability")
    axis.legend(loc="lower center", fontsize=7)
