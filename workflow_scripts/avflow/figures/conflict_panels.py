"""Draw whose answer wins if a clip's pictures go with another clip's sound, and in which layers it is decided."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..results import Effects, ordered, title
from ..results.conflict import WINNERS
from . import palette
from .route_panels import explained, line_panel, share_limits
from .route_styles import colours, route_label

ACROSS = 6  # panels in a row
LABELS = {"heard": "the answer to the sound", "seen": "the answer to the pictures", "other": "another option"}


def conflict_panels(models, table: pd.DataFrame, graded: str, patched: Effects, cut: Effects, least: int):
    """Above, one row per model: who wins by task, and by the dial of the graded tasks. Below: how windows move the preference.

    table: from `conflict.winners`. graded: the name of the dataset of graded tasks, which share a panel below; empty without one.
    Groups with fewer than `least` known pairs in every model have no panel, and those in one model no curves and a pale bar.
    """
    models, dial = list(models), table[(table["dataset"] == graded)]
    of_dial = dict.fromkeys(dial["group"], "graded tasks")
    pool = lambda e: replace(e, rows=e.rows.assign(group=e.rows["group"].replace(of_dial)))
    patched, cut = pool(patched), pool(cut)
    known = patched.rows.groupby(["model", "group"])["question_id"].nunique()
    most = known.groupby("group").max()
    groups = [group for group in ordered(most.index) if most[group] >= least]
    deep = -(-max(1, len(groups)) // ACROSS)
    heights = [0.4 + 2.1 * len(models), 0.7 + 1.9 * deep * len(models)]
    figure = plt.figure(figsize=(2.2 * ACROSS + 0.6, sum(heights)))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    _winners(above, models, table[table["dataset"] != graded], dial, least)
    _layers(below, models, patched, cut, groups, deep, known[known >= least])
    return figure


def _winners(part, models, table, dial, least: int) -> None:
    count = max([1, *table[table["kind"] == "all"].groupby("model").size()])
    widths = [max(4, count), *([4] if len(dial) else [])]
    grid = part.subplots(len(models), len(widths), squeeze=False, width_ratios=widths)
    for model, line in zip(models, grid):
        _bars(line[0], table[(table["model"] == model) & (table["kind"] == "all")], least)
        line[0].set_ylabel(f"{model}\nPairs (%)")
        if len(dial):
            _dial(line[1], dial[dial["model"] == model])
    for axis, letter, heading in zip(grid[0], "ab", ("Whose answer wins", "Whose answer wins, by the need for sound")):
        axis.set_title(f"({letter}) {heading}")
    handles = [plt.Rectangle((0, 0), 1, 1, color=palette.WINNERS[name], label=LABELS[name]) for name in WINNERS]
    handles.append(plt.Line2D([], [], color=palette.INK, marker="_", label="95 % interval of the answer to the sound"))
    if len(dial):
        marks = dict(color=palette.INK, marker="o", linestyle="", markerfacecolor="none", markersize=5)
        handles.append(plt.Line2D([], [], label="only pairs in which each sense alone tells an answer", **marks))
    part.legend(handles=handles, loc="outside upper center", ncols=3)


def _bars(axis, table, least: int) -> None:
    at, bottom, enough = np.arange(len(table)), np.zeros(len(table)), (table["n"] >= least).to_numpy()
    for name in WINNERS:
        bars = axis.bar(at, table[name], 0.7, bottom=bottom, color=palette.WINNERS[name])
        for bar, known in zip(bars, enough):
            bar.set_alpha(1 if known else 0.25)
        bottom = bottom + table[name].fillna(0).to_numpy()
    some = table[enough]
    error = np.clip([some["heard"] - some["heard_low"], some["heard_high"] - some["heard"]], 0, None)
    axis.errorbar(at[enough], some["heard"], error, color=palette.INK, linestyle="", capsize=3, linewidth=1)
    words = [f"n = {n}" if known else f"too few: {n}" for n, known in zip(table["n"], enough)]
    labels = [f"{title(task)}\n{said} of {asked}" for task, said, asked in zip(table["task"], words, table["asked"])]
    axis.set_xticks(at, labels, fontsize=6.5)
    axis.set(ylim=(0, 100), xlim=(-0.6, len(table) - 0.4))


def _dial(axis, table) -> None:
    for kind, style in (("all", {"marker": "o"}), ("both", {"marker": "o", "markerfacecolor": "none", "linestyle": ""})):
        here = table[(table["kind"] == kind) & (table["n"] > 0)].sort_values("needs_audio")
        for name in WINNERS[:2]:
            error = np.clip([here[name] - here[f"{name}_low"], here[f"{name}_high"] - here[name]], 0, None)
            style_of = {"color": palette.WINNERS[name], "markersize": 5, "linewidth": 1.2, "elinewidth": 0.8, **style}
            axis.errorbar(100 * here["needs_audio"] + (2 if kind == "both" else 0), here[name], error, **style_of)
        for share, n in zip(here["needs_audio"], here["n"]) if kind == "both" else ():
            axis.text(100 * share + 2, 106, f"n = {n}", ha="center", fontsize=6, color=palette.NOTE)
    axis.set(ylim=(-4, 114), xlabel="Clips in which only sound tells (%)", ylabel="Pairs (%)")


def _layers(part, models, patched, cut, groups, deep, enough) -> None:
    """enough: the number of known pairs by model and group, where there are enough of them."""
    routes = list(dict.fromkeys(patched.rows["route"]))
    if not groups:
        part.text(0.5, 0.5, "too few known pairs to show layers", ha="center", va="center", color=palette.NOTE)
        return
    colour_of, grid = colours(routes), part.subplots(deep * len(models), ACROSS, squeeze=False, sharex=True)
    for row, model in enumerate(models):
        axes = list(grid[row * deep : (row + 1) * deep].ravel())
        for number, (axis, group) in enumerate(zip(axes, groups)):
            letter = f"({'cdefghijklmnopqrstuvwxyz'[number]}) " if row == 0 else ""
            axis.set_title(f"{letter}{title(group)}", fontsize=8)
            if row == len(models) - 1 and number + ACROSS >= len(groups):
                axis.set_xlabel("Layer")
                axis.tick_params(labelbottom=True)
            if (model, group) not in enough:
                axis.text(0.5, 0.6, "too few known pairs", transform=axis.transAxes, ha="center", fontsize=7, color=palette.NOTE)
                continue
            line_panel(axis, patched.of(model=model, group=group), colour_of)
            means = cut.of(model=model, group=group).rows.groupby(["route", "centre"])["change"].mean()
            for route in routes:
                if route in means:
                    axis.plot(means[route].index, means[route], color=colour_of[route], linestyle="--", linewidth=1)
        share_limits(axes[: len(groups)])
        for axis in axes[len(groups) :]:
            axis.set_axis_off()
        axes[0].set_ylabel(f"{model}\nShift of the preference (nats)")
    handles = [plt.Line2D([], [], color=colour_of[r], label=route_label(r)) for r in routes]
    styles = (("-", 2, "patched: a source without the conflict"), ("--", 1, "cut"))
    handles += [plt.Line2D([], [], color=palette.INK, linestyle=s, linewidth=w, label=said) for s, w, said in styles]
    part.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    note = "above 0: towards the answer to the sound; below 0: towards the answer to the pictures"
    part.legend(handles=explained(patched), loc="outside lower center", fontsize=7, title=note, title_fontsize=7)
