"""Appendices F to I: every main figure by task and by model in small multiples, and all models on a normalised depth."""

import math

import matplotlib.pyplot as plt
import pandas as pd

from ..results import rank, title
from ..results.overview import FIGURES, ITEMS
from . import curves, legends, palette
from .attention_panels import CLASSES, share_bars
from .route_panels import explained, leave_room, line_panel, windows_said
from .route_styles import colours, route_label

COLUMNS = 8
HEIGHT = 2.1  # of a panel, in inches


def _legend(part, colour_of: dict) -> None:
    handles = [curves.handle(colour, route_label(route)) for route, colour in colour_of.items()]
    legends.fitted(part, handles, 5, loc="outside upper center", fontsize=7)


def _tasks_of(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(group, task) pairs, with groups in the order of the main figures."""
    pairs = rows[["group", "task"]].drop_duplicates().itertuples(index=False)
    return sorted(map(tuple, pairs), key=lambda pair: (rank(pair[0]), pair))


def _task_title(group: str, task: str) -> str:
    return title(task) if group == task else f"{title(task)}\n{title(group)}"


def task_panels(model: str, found: dict, shares: pd.DataFrame, routes: dict):
    """Appendix F: one block per main figure, one panel per task.

    found: from `overview.read`; shares: from `task_shares`; routes: main figure -> routes.
    """
    shares = shares[shares["model"] == model]
    blocks = [("Fig. 1: attention of the last token", shares, None, False)] if len(shares) else []
    for name in found:
        words, here = FIGURES[name][0], found[name].of(model=model)
        blocks += [(words, here, colours(routes.get(name, ())), name in ITEMS)] if len(here.rows) else []
    tasks_of = lambda content: _tasks_of(content if isinstance(content, pd.DataFrame) else content.rows)  # noqa: E731
    lines = [math.ceil(len(tasks_of(content)) / COLUMNS) for _, content, *_ in blocks] or [1]
    most = max([min(COLUMNS, len(tasks_of(content))) for _, content, *_ in blocks] or [1])
    figure = plt.figure(figsize=(1.9 * max(4, most) + 0.6, sum(HEIGHT * n + 0.9 for n in lines) + 0.3))
    parts = figure.subfigures(len(lines), 1, height_ratios=[HEIGHT * n + 0.9 for n in lines], squeeze=False)[:, 0]
    for part, (words, content, colour_of, per_route), height in zip(parts, blocks, lines):
        tasks = tasks_of(content)
        grid = part.subplots(height, min(COLUMNS, len(tasks)), sharex=True, sharey=True, squeeze=False)
        for axis, (group, task) in zip(grid.flat, tasks):
            if colour_of:
                here = content.of(task=task, group=group)
                line_panel(axis, here, {r: c for r, c in colour_of.items() if r in set(here.rows["route"])}, per_route)
            else:
                share_bars(axis, content[(content["task"] == task) & (content["group"] == group)])
            axis.set_title(_task_title(group, task), fontsize=7.5)
        if colour_of:
            leave_room(grid.flat[: len(tasks)], 3 + per_route, content.reading.metric == "probability")
        for axis in list(grid.flat)[len(tasks) :]:
            axis.set_visible(False)
        for axis in grid[-1]:
            axis.set_xlabel("Layer", fontsize=8)
        part.supylabel(f"{words}\n{content.reading.words}" if colour_of else words, fontsize=8)
        if colour_of:
            _legend(part, colour_of)
        else:
            _class_legend(part, set(shares["name"]))
    told = windows_said(pd.concat([one.rows for one in found.values()]))
    legends.fitted(figure, explained(*found.values()), 3, told, loc="outside lower center", fontsize=7, title_fontsize=7)
    return figure


def _classes(names) -> list:
    return [plt.Rectangle((0, 0), 1, 1, color=palette.TOKENS[n], label=label) for n, label in CLASSES.items() if n in names]


def _class_legend(part, names) -> None:
    legends.fitted(part, _classes(names), 9, loc="outside upper center", fontsize=7)


def model_panels(models, found: dict, shares: pd.DataFrame, table: pd.DataFrame, routes: dict):
    """Appendices G to I: one row per model with all main figures, all tasks together; below, main routes on a normalised depth.

    found: from `overview.read`; shares: from `task_shares`; table: from `normalised`; routes: main figure -> routes.
    """
    models, words = list(models), next(iter(found.values())).reading.words
    figure = plt.figure(figsize=(13.5, 1.3 + 2.3 * len(models) + 5.2))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.0 + 2.3 * len(models), 5.2])
    parts = upper.subfigures(1, 1 + len(found))
    for axis, model in zip(_column(parts[0], len(models), "Fig. 1: attention of the last token"), models):
        mine = shares[shares["model"] == model].groupby(["layer", "name"], sort=False)["share"].mean().reset_index()
        if len(mine):
            share_bars(axis, mine)
        axis.set_ylabel(model)
    _stacked_legend(parts[0], _classes(set(shares["name"])))
    for part, name in zip(parts[1:], found):
        heading = FIGURES[name][0]
        colour_of = colours(routes.get(name, ()))
        for axis, model in zip(_column(part, len(models), heading), models):
            line_panel(axis, found[name].of(model=model), colour_of, name in ITEMS)
            leave_room([axis], 3 + (name in ITEMS), found[name].reading.metric == "probability")
            if part is parts[1]:
                axis.set_ylabel(words)
        _stacked_legend(part, [curves.handle(c, route_label(route)) for route, c in colour_of.items()])
    _compare(lower, models, table, words, next(iter(found.values())).reading.least)
    told = windows_said(pd.concat([one.rows for one in found.values()]))
    legends.fitted(figure, explained(*found.values()), 3, told, loc="outside lower center", fontsize=7, title_fontsize=7)
    return figure


def _column(part, count: int, words: str):
    """A column of panels under a heading."""
    axes = part.subplots(count, 1, sharex=False, squeeze=False)[:, 0]
    axes[0].set_title(words, fontsize=9)
    axes[-1].set_xlabel("Layer")
    return axes


def _stacked_legend(part, handles) -> None:
    part.legend(handles=handles, loc="outside lower center", ncols=1 if len(handles) < 6 else 2, fontsize=6, columnspacing=0.8)


def _compare(part, models, table, words: str, least: int) -> None:
    routes = list(dict.fromkeys(table["route"]))
    columns = max(1, math.ceil(len(routes) / 2))
    axes = part.subplots(2, columns, sharex=True, squeeze=False)
    for axis, route in zip(axes.flat, routes):
        axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
        for place, (model, colour) in enumerate(zip(models, palette.MODELS)):
            one = table[(table["route"] == route) & (table["model"] == model)]
            n = int(one["n"].max()) if len(one) else 0
            curve = (one[name] for name in ("depth", "change", "ci_low", "ci_high"))
            curves.draw(axis, *curve, n, colour, place, len(models), least, alpha=0.15, linewidth=1.6)
        low, high = axis.get_ylim()
        axis.set_ylim(min(low, -5), max(high, 2))  # so that tiny effects look tiny
        axis.set_title(route_label(route), fontsize=8)
    for axis in list(axes.flat)[len(routes) :]:
        axis.set_visible(False)
    part.supxlabel("Depth: window's centre / last layer", fontsize=8)
    part.supylabel(f"{words}, all tasks", fontsize=8)
    handles = [curves.handle(colour, model) for model, colour in zip(models, palette.MODELS)]
    part.legend(handles=handles, loc="outside upper center", ncols=len(handles))
