"""Appendix F and G to I: every main figure by task and by model in small multiples, and all models on one normalised depth."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from . import effects
from .plots import BLUE, CYAN, GREEN, ORANGE, PINK, PURPLE, RED, explained, line_panel, rank, route_label, title
from .plots_attention import CLASSES, rows_of, share_bars

FIGURES = {  # main figure -> what it is about, role of its dataset, routes and their colours
    "figure_3": ("Fig. 3: interactions", "video", {"cross_frame": PURPLE, "cross_audio_segment": BLUE, "audio<->video": RED}),
    "figure_4": (
        "Fig. 4: routes to the answer",
        "video",
        {
            "video->question": PURPLE,
            "audio->question": BLUE,
            "question->last": ORANGE,
            "video->last": PINK,
            "audio->last": CYAN,
        },
    ),
    "figure_5": (
        "Fig. 5: gathering in the reference",
        "items",
        {
            "cross_candidate": PURPLE,
            "candidates->reference": BLUE,
            "question->reference": GREEN,
            "candidates->question": ORANGE,
            "reference->last": PINK,
            "candidates->last": CYAN,
            "question->last": RED,
        },
    ),
    "figure_6": (
        "Fig. 6: selecting the option",
        "items",
        {
            "correct_candidate->correct_option": GREEN,
            "incorrect_candidates->correct_option": PURPLE,
            "reference->correct_option": RED,
            "question->correct_option": BLUE,
            "correct_candidate->last": "0.35",
            "incorrect_candidates->last": PINK,
            "correct_option->last": ORANGE,
            "incorrect_options->last": CYAN,
        },
    ),
}
COMPARED = {  # routes that all models are compared in
    "figure_3": ["cross_frame", "audio<->video"],
    "figure_4": ["video->question", "audio->question", "question->last"],
    "figure_5": ["candidates->reference", "reference->last"],
    "figure_6": ["correct_candidate->correct_option", "reference->correct_option", "correct_option->last"],
}
SHADES = (BLUE, ORANGE, GREEN, PURPLE, CYAN, RED)  # of models
COLUMNS = 7


def read(tables: dict, models: dict, datasets: dict, reading) -> dict[str, effects.Effects]:
    """Main figure -> its effects. tables: figure -> path, empty for none; models: name -> width; datasets: role -> name.

    Without the paper's curves, which are of groups of tasks: here panels are of single tasks or of all.
    """
    reading = {**reading, "published": ""}
    roles = {name: role for name, (_, role, _) in FIGURES.items()}
    return {name: effects.read(tables.get(name, ""), models, datasets[role], reading) for name, role in roles.items()}


def task_shares(path, models, dataset: str) -> pd.DataFrame:
    """Mean share of the last token's attention by model, task, group, layer and class (name)."""
    rows = rows_of(path, ["shares"], models, dataset)
    rows["share"] = [np.mean(heads) for heads in rows["values"]]
    return rows.groupby(["model", "task", "group", "layer", "name"], sort=False)["share"].mean().reset_index()


def _legend(part, colours: dict) -> None:
    handles = [plt.Line2D([], [], color=colour, label=route_label(route)) for route, colour in colours.items()]
    part.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5), fontsize=7)


def _tasks_of(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(group, task) pairs, groups in the order of the main figures."""
    pairs = rows[["group", "task"]].drop_duplicates().itertuples(index=False)
    return sorted(map(tuple, pairs), key=lambda pair: (rank(pair[0]), pair))


def _task_title(group: str, task: str) -> str:
    return title(task) if group == task else f"{title(task)}\n{title(group)}"


def task_panels(model: str, found: dict, shares: pd.DataFrame):
    """A block a main figure, a panel a task (Appendix F). found: from `read`; shares: from `task_shares`."""
    shares = shares[shares["model"] == model]
    blocks = [("Fig. 1: attention of the last token", shares, None)] if len(shares) else []
    for name, (words, _, colours) in FIGURES.items():
        here = found[name].of(model=model)
        blocks += [(words, here, colours)] if len(here.rows) else []
    tasks_of = lambda content: _tasks_of(content if isinstance(content, pd.DataFrame) else content.rows)  # noqa: E731
    lines = [math.ceil(len(tasks_of(content)) / COLUMNS) for _, content, _ in blocks] or [1]
    most = max([min(COLUMNS, len(tasks_of(content))) for _, content, _ in blocks] or [1])
    figure = plt.figure(figsize=(1.9 * max(4, most) + 0.6, sum(1.7 * n + 0.9 for n in lines) + 0.3))
    parts = figure.subfigures(len(lines), 1, height_ratios=[1.7 * n + 0.9 for n in lines], squeeze=False)[:, 0]
    for part, (words, content, colours), height in zip(parts, blocks, lines):
        tasks = tasks_of(content)
        grid = part.subplots(height, min(COLUMNS, len(tasks)), sharex=True, sharey=True, squeeze=False)
        for axis, (group, task) in zip(grid.flat, tasks):
            if colours:
                here = content.of(task=task, group=group)
                line_panel(axis, here, [r for r in colours if r in set(here.rows["route"])], colours)
            else:
                share_bars(axis, content[(content["task"] == task) & (content["group"] == group)])
            axis.set_title(_task_title(group, task), fontsize=7.5)
        for axis in list(grid.flat)[len(tasks) :]:
            axis.set_visible(False)
        for axis in grid[-1]:
            axis.set_xlabel("Layer", fontsize=8)
        part.supylabel(f"{words}\n{content.reading.words}" if colours else words, fontsize=8)
        if colours:
            _legend(part, colours)
        else:
            _class_legend(part, set(shares["name"]))
    figure.legend(handles=explained(*found.values()), loc="outside lower center", ncols=3, fontsize=7)
    return figure


def _class_legend(part, names) -> None:
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, label=label) for n, (label, colour) in CLASSES.items() if n in names]
    part.legend(handles=handles, loc="outside upper center", ncols=9, fontsize=7)


def normalised(found: dict, depths: dict) -> pd.DataFrame:
    """Mean change by model, figure, route and depth, over all groups, with 95 % bands over all layers and routes of a figure.

    depth: the window's centre over the model's last layer, 0 to 1. depths: model -> layers.
    """
    table = []
    for figure, routes in COMPARED.items():
        for model in dict.fromkeys(found[figure].rows["model"]):
            for route, curve in found[figure].of(model=model).curves(routes).items():
                points = zip(curve.centres, curve.centres / (depths[model] - 1), curve.mean, curve.low, curve.high)
                names = ("centre", "depth", "change", "ci_low", "ci_high")
                table += [dict(model=model, figure=figure, route=route, n=curve.n) | dict(zip(names, p)) for p in points]
    columns = ["model", "figure", "route", "n", "centre", "depth", "change", "ci_low", "ci_high"]
    return pd.DataFrame(table, columns=columns)


def model_panels(models, found: dict, shares: pd.DataFrame, table: pd.DataFrame):
    """A row a model of all main figures, tasks together; below, the main routes of all models on normalised depth.

    found: from `read`; shares: from `task_shares`; table: from `normalised`.
    """
    models, words = list(models), next(iter(found.values())).reading.words
    figure = plt.figure(figsize=(13.5, 1.3 + 2.3 * len(models) + 5.2))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.0 + 2.3 * len(models), 5.2])
    parts = upper.subfigures(1, 1 + len(FIGURES))
    for axis, model in zip(_column(parts[0], len(models), "Fig. 1: attention of the last token"), models):
        mine = shares[shares["model"] == model].groupby(["layer", "name"], sort=False)["share"].mean().reset_index()
        if len(mine):
            share_bars(axis, mine)
        axis.set_ylabel(model)
    _stacked_legend(
        parts[0], [plt.Rectangle((0, 0), 1, 1, color=c, label=w) for n, (w, c) in CLASSES.items() if n in set(shares["name"])]
    )
    for part, (name, (heading, _, colours)) in zip(parts[1:], FIGURES.items()):
        for axis, model in zip(_column(part, len(models), heading), models):
            line_panel(axis, found[name].of(model=model), colours, colours)
            if part is parts[1]:
                axis.set_ylabel(words)
        _stacked_legend(part, [plt.Line2D([], [], color=c, label=route_label(route)) for route, c in colours.items()])
    _compare(lower, models, table, words)
    figure.legend(handles=explained(*found.values()), loc="outside lower center", ncols=3, fontsize=7)
    return figure


def _column(part, count: int, words: str):
    """A column of panels under a heading, with its legend below."""
    axes = part.subplots(count, 1, sharex=False, squeeze=False)[:, 0]
    axes[0].set_title(words, fontsize=9)
    axes[-1].set_xlabel("Layer")
    return axes


def _stacked_legend(part, handles) -> None:
    part.legend(handles=handles, loc="outside lower center", ncols=1 if len(handles) < 6 else 2, fontsize=6, columnspacing=0.8)


def _compare(part, models, table, words: str) -> None:
    routes = list(dict.fromkeys(table["route"]))
    columns = max(1, math.ceil(len(routes) / 2))
    axes = part.subplots(2, columns, sharex=True, squeeze=False)
    for axis, route in zip(axes.flat, routes):
        axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
        for model, colour in zip(models, SHADES):
            one = table[(table["route"] == route) & (table["model"] == model)]
            axis.fill_between(one["depth"], one["ci_low"], one["ci_high"], color=colour, alpha=0.15, linewidth=0)
            axis.plot(one["depth"], one["change"], color=colour, linewidth=1.6)
        low, high = axis.get_ylim()
        axis.set_ylim(min(low, -5), max(high, 2))  # so that what is next to nothing looks like it
        axis.set_title(route_label(route), fontsize=8)
    for axis in list(axes.flat)[len(routes) :]:
        axis.set_visible(False)
    part.supxlabel("Depth: centre of the window over the last layer", fontsize=8)
    part.supylabel(f"{words}, all tasks", fontsize=8)
    handles = [plt.Line2D([], [], color=colour, label=model) for model, colour in zip(models, SHADES)]
    part.legend(handles=handles, loc="outside upper center", ncols=len(handles))
