"""Maps of single heads, and curves of the strongest heads cut together."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..results.heads import ALL
from . import palette
from .route_panels import nothing_to_show
from .route_styles import colours, route_label

KINDS = {"strongest": ("-", "o", "strongest heads first"), "random": (":", "s", "as many heads drawn at random")}
MAP = "RdBu"  # losses are red
LEAST = 1.0  # percent: colours reach as far at least


def head_panels(models, alone: pd.DataFrame, together: pd.DataFrame, routes):
    """One row per model; for each route a map of single heads and layers, and a curve by the share of heads that are cut.

    alone, together: from `results.heads`. If no question was cut, the figure says so.
    """
    if not len(alone) and not len(together):
        return nothing_to_show()
    size = (5.2 * len(routes) + 0.4, 0.8 + 2.5 * len(models))
    figure, axes = plt.subplots(len(models), 2 * len(routes), squeeze=False, figsize=size)
    colour_of = colours(routes)
    for line, model in zip(axes, models):
        for number, route in enumerate(routes):
            of = lambda table, model=model, route=route: table[(table["model"] == model) & (table["route"] == route)]
            _map(figure, line[2 * number], of(alone), f"{model}\n{route_label(route)}")
            _curves(line[2 * number + 1], of(together), colour_of[route])
    handles = [
        plt.Line2D([], [], color=palette.INK, linestyle=style, marker=marker, markersize=4, label=label)
        for style, marker, label in KINDS.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _map(figure, axis, table: pd.DataFrame, heading: str) -> None:
    """Change by layer and head. The cut in all heads of a layer is the last row, which has its own name.

    Colours reach as far as single heads do. What all heads do beyond that is written into their row.
    """
    axis.set_title(heading, fontsize=8)
    if not len(table):
        axis.set_visible(False)
        return
    wide = table.pivot(index="heads", columns="layer", values="change")
    order = sorted(wide.index, key=lambda heads: np.inf if heads == ALL else int(heads.split(",")[0]))
    values = wide.reindex(order).to_numpy()
    single = [number for number, heads in enumerate(order) if heads != ALL]
    reach = max(LEAST, np.nanmax(np.abs(values[single] if single else values)))
    drawn = axis.imshow(values, cmap=MAP, vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
    for line in set(range(len(order))) - set(single):
        axis.axhline(line - 0.5, color=palette.NOTE, linewidth=0.8)
        for column in np.flatnonzero(np.abs(values[line]) > reach):
            font = dict(ha="center", va="center", color=palette.PAPER, fontsize=4.5, rotation=90)
            axis.text(column, line, f"{values[line, column]:.0f}", **font)
    axis.set_xticks(range(len(wide.columns))[:: max(1, len(wide.columns) // 6)])
    axis.set_xticklabels(wide.columns[:: max(1, len(wide.columns) // 6)])
    axis.set_yticks(range(len(order)), order, fontsize=max(3.5, min(8, 60 / len(order))))
    axis.set(xlabel="Layer", ylabel="Head")
    axis.grid(False)
    figure.colorbar(drawn, ax=axis, label="% Change in Probability", extend="both")
    axis.text(0.99, 1.02, f"n = {table['n'].max()}", transform=axis.transAxes, ha="right", fontsize=7, color=palette.NOTE)


def _curves(axis, table: pd.DataFrame, colour) -> None:
    if not len(table):
        axis.set_visible(False)
        return
    for kind, (style, marker, _) in KINDS.items():
        one = table[table["kind"] == kind].sort_values("share")
        shade = colour if kind == "strongest" else palette.RANDOM
        axis.fill_between(100 * one["share"], one["ci_low"], one["ci_high"], color=shade, alpha=0.2, linewidth=0)
        axis.plot(100 * one["share"], one["change"], color=shade, linestyle=style, marker=marker, markersize=3.5)
    axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
    axis.set(xlabel="Heads that are cut (%)", ylabel="% Change in Probability")
    held_out = f"n = {table['n'].max()}, held out"
    axis.text(0.97, 0.93, held_out, transform=axis.transAxes, ha="right", va="top", fontsize=7, color=palette.NOTE)
