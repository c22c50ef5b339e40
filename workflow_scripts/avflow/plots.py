"""The figures' drawing functions; notebooks only load a table, call one of these, and save.

The look follows the paper: one row of panels with a shared y axis, ticks inward on all four sides, a dashed zero line, one
legend above, thick lines with a translucent band (95 %, over clips; see `statistics.simultaneous_band`).
"""

import itertools
import os
import string

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba

from . import plots_published
from .effects import Effects

PURPLE, BLUE, ORANGE, PINK, CYAN, RED, GREEN = "#9C27B0", "#1565C0", "#FF7F00", "#F00FCB", "#00C1F1", "#E31A1C", "#2CA02C"
CONTROL = "0.6"  # grey, of random keys

TITLES = {
    "hear": "Hear",
    "see": "See",
    "while-hear": "While hearing",
    "while-see": "While seeing",
    "visual_recognition": "Visual Recognition",
    "speech_attributes": "Speech Attributes",
    "speech_recognition": "Speech Recognition",
    "speaker_recognition": "Speaker Recognition",
    "speaker_detection": "Speaker Detection",
    "I2A": r"I Ref $\rightarrow$ A Cand",
    "A2I": r"A Ref $\rightarrow$ I Cand",
}
SPANS = {
    "audio": "Audio",
    "video": "Video",
    "question": "Question",
    "last": "Last",
    "reference": "Reference",
    "candidates": "Candidates",
    "options": "Options",
    "correct_candidate": "CorrectCand",
    "incorrect_candidates": "IncorrectCand",
    "correct_option": "CorrectOpt",
    "incorrect_options": "IncorrectOpt",
    "non_options": "NonOption",
}


def title(group: str) -> str:
    """A task group's name as a panel's title."""
    return TITLES.get(group, group.replace("_", " ").capitalize())


def rank(group: str) -> int:
    """A group's place among those that have a title; behind them for the others."""
    return list(TITLES).index(group) if group in TITLES else len(TITLES)


def ordered(groups) -> list[str]:
    """The groups that occur, those with a title first and in its order."""
    found = list(pd.unique(groups))
    return [g for g in TITLES if g in found] + sorted(g for g in found if g not in TITLES)


def route_label(route: str) -> str:
    """A route as the paper writes it: an arrow that is struck through."""
    if route.startswith("cross_"):
        return "Cross-" + route.removeprefix("cross_").replace("_", "-").title()
    arrow = r" $\nleftrightarrow$ " if "<->" in route else r" $\nrightarrow$ "
    source, target = route.replace("<->", "->").split("->")
    return SPANS.get(source, source) + arrow + SPANS.get(target, target)


def route_panels(effects: Effects, models, panels, colours: dict, words: str = ""):
    """One row of panels a model, one panel a (title, group, routes) entry, one line a route; returns the figure.

    colours: route -> colour. Neighbouring panels with the same routes stand under one legend, and the panels of a model share
    the y axis, named by `words` or the metric.
    """
    models, panels = list(models), panels or [("", "", list(colours))]
    blocks = [list(block) for _, block in itertools.groupby(panels, key=lambda panel: panel[2])]
    figure = plt.figure(figsize=(2.6 * len(panels) + 0.6, 1.2 + 2.0 * len(models)))
    parts = figure.subfigures(1, len(blocks), width_ratios=[len(block) for block in blocks], squeeze=False)[0]
    letters, lines = iter(string.ascii_lowercase), {model: [] for model in models}
    for part, block in zip(parts, blocks):
        grid = part.subplots(len(models), len(block), sharex="row", sharey="row", squeeze=False)
        for model, line in zip(models, grid):
            for axis, (_, group, routes) in zip(line, block):
                line_panel(axis, effects.of(model=model, group=group), routes, colours)
            line[0].set_ylabel((f"{model}\n" if len(models) > 1 else "") + (words or effects.reading.words))
            lines[model] += list(line)
        for axis, (heading, _, _) in zip(grid[0], block):
            axis.set_title(f"({next(letters)}) {heading}")
        for axis in grid[-1]:
            axis.set_xlabel("Layer")
        handles = [plt.Line2D([], [], color=colours[route], label=route_label(route)) for route in block[0][2]]
        part.legend(handles=handles, loc="outside upper center", ncols=len(handles) if len(block) > 2 else 2)
    for axes in lines.values():
        share_limits(axes)
    figure.legend(handles=explained(effects), loc="outside lower center", ncols=3, fontsize=7)
    return figure


def share_limits(axes) -> None:
    """One y axis for all, as wide as the widest of their curves."""
    limits = [axis.get_ylim() for axis in axes]
    for axis in axes:
        axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def line_panel(axis, effects: Effects, routes, colours: dict) -> None:
    """The curves of one panel: means with their band, as many random keys in grey, the noise around 0, and n.

    The band holds all layers and routes of the panel at once (95 %), and so do those of the controls, whose means and edges are
    dotted in the colour of the route in whose place they stand.
    The paper's values, where there are any, lie lightly behind.
    """
    axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
    found, random = effects.curves(routes), effects.curves(routes, of_controls=True)
    for route, curve in random.items():
        edge = {"facecolor": to_rgba(CONTROL, 0.3), "edgecolor": colours[route], "linewidth": 0.5, "linestyle": ":"}
        axis.fill_between(curve.centres, curve.low, curve.high, **edge, zorder=1)
        axis.plot(curve.centres, curve.mean, color=colours[route], linestyle=":", linewidth=1.2, zorder=2.5)
    for route, curve in found.items():
        axis.fill_between(curve.centres, curve.low, curve.high, color=colours[route], alpha=0.2, linewidth=0)
        axis.plot(curve.centres, curve.mean, color=colours[route])
    axis.axhspan(-effects.noise, effects.noise, color="0.3", alpha=0.3, linewidth=0, zorder=1)
    if len(effects.published):
        plots_published.draw_curves(axis, effects.published, {route: colours[route] for route in routes})
    axis.xaxis.get_major_locator().set_params(integer=True)
    said, controls = [effects.counts], effects.controls[effects.controls["route"].isin(list(random))]
    said += [f"random keys: n = {controls['question_id'].nunique()}"] if random else []
    said.append(f"noise floor {effects.noise:.1g}{' %' if effects.reading.metric == 'probability' else ''}")
    axis.text(0.03, 0.03, "\n".join(said), transform=axis.transAxes, fontsize=6, color="0.35", linespacing=1.3)
    if not found:
        axis.text(0.5, 0.5, "no rows", transform=axis.transAxes, ha="center", fontsize=7)


def explained(*effects: Effects) -> list:
    """Legend entries for what is not a route: the bands, and where there are any the controls and the paper's values."""
    handles = [plt.Rectangle((0, 0), 1, 1, color=BLUE, alpha=0.25, label="95 %, all layers and routes of a panel at once")]
    if any(len(e.controls) for e in effects):
        handles.append(
            plt.Rectangle((0, 0), 1, 1, color=CONTROL, alpha=0.35, label="as many random keys in a route's place, 95 % (dotted)")
        )
    if any(len(e.published) for e in effects):
        handles.append(plots_published.handle())
    return handles


def window_panels(effects: Effects, models, routes: list):
    """A grid of panels a model: rows are routes, columns groups, lines window widths k, the darker the wider (Appendix E).

    Means only: the bands of so many lines would hide each other.
    """
    rows = effects.rows
    models, groups, widths = list(models), ordered(rows["group"]) or [""], sorted(rows["width"].unique())
    figure = plt.figure(figsize=(2.2 * len(groups) + 0.8, (1.7 * len(routes) + 0.3) * len(models) + 0.4))
    shades = dict(zip(widths, plt.get_cmap("viridis_r")(np.linspace(0.1, 1, len(widths)))))
    for model, part in zip(models, figure.subfigures(len(models), 1, squeeze=False)[:, 0]):
        grid = part.subplots(len(routes), len(groups), sharex=True, sharey=True, squeeze=False)
        for line, route in zip(grid, routes):
            for axis, group in zip(line, groups):
                axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
                here = rows[(rows["model"] == model) & (rows["route"] == route) & (rows["group"] == group)]
                for width, one in here.groupby("width"):
                    mean = one.groupby("centre")["change"].mean()
                    axis.plot(mean.index, mean, color=shades[width], linewidth=1.4)
                counts = effects.of(model=model, route=route, group=group).counts
                axis.text(0.03, 0.05, counts, transform=axis.transAxes, fontsize=6, color="0.35")
            line[0].set_ylabel(route_label(route) + f"\n{effects.reading.words}")
        for axis, group in zip(grid[0], groups):
            axis.set_title(title(group))
        for axis in grid[-1]:
            axis.set_xlabel("Layer")
            axis.xaxis.get_major_locator().set_params(integer=True)
        if len(models) > 1:
            part.suptitle(model)
    handles = [plt.Line2D([], [], color=shades[w], label=f"k = {w}") for w in widths]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def save(figure, *paths) -> None:
    """Write a figure to each path, the same bytes for the same figure; a file appears only when it is whole."""
    for path in map(str, paths):
        kind = path.rsplit(".", 1)[1]
        part = f"{path}.part"
        figure.savefig(part, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)
        os.replace(part, path)
