"""Accuracy before anything is cut, by model and task, beside published values; and the questions that were dropped."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from . import palette

MARKERS = "DsovP^"  # of published values, by source


def accuracy_bars(table: pd.DataFrame, dropped: pd.DataFrame, reported: pd.DataFrame | None = None):
    """One panel per dataset: bars by task and model with intervals, the level of chance, and marks at published values.

    reported: from `baseline.reported_values`. Every source and conditions have their own mark, and the legend below names both.
    The panel's title says how many questions were dropped, for which reasons, and how many answers were not a letter.
    """
    datasets, models = list(pd.unique(table["dataset"])), list(pd.unique(table["model"]))
    widest = max(len(_labels(table[table["dataset"] == d])) for d in datasets)
    size = (min(16, max(6, 0.55 * widest * len(models) ** 0.5 + 1.2)), 2.5 * len(datasets) + 0.4)
    figure, axes = plt.subplots(len(datasets), 1, figsize=size, squeeze=False)
    marks = _marks(reported)
    for axis, dataset in zip(axes[:, 0], datasets):
        _dataset_bars(axis, table[table["dataset"] == dataset], models)
        for marker, values in marks.values():
            _published_marks(axis, table[table["dataset"] == dataset], models, values[values["dataset"] == dataset], marker)
        lost = dropped[dropped["dataset"] == dataset].groupby("reason")["n"].sum()
        reasons = f" ({', '.join(f'{n} {reason}' for reason, n in lost.items())})" if len(lost) else ""
        silent = table[(table["dataset"] == dataset) & (table["level"] == "task")].groupby("model", sort=False)["no_letter"].sum()
        answers = ", ".join(f"{n}" if len(silent) == 1 else f"{n} ({model})" for model, n in silent.items())
        note = f"{dataset}: {int(lost.sum())} questions dropped{reasons}; answers that are not a letter: {answers}"
        axis.set_title(note, fontsize=8, loc="left")
    handles = axes[0, 0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    if marks:
        named = [_mark([], [], marker, label=label) for label, (marker, _) in marks.items()]
        figure.legend(handles=named, loc="outside lower left", fontsize=7, title="Published", title_fontsize=7, alignment="left")
    return figure


def _marks(reported: pd.DataFrame | None) -> dict:
    """Label -> (marker, the published values that have it), one for each source and conditions."""
    if reported is None or not len(reported):
        return {}
    parts = reported.groupby(["source", "conditions"], sort=False)
    return {f"{source}: {said}": (MARKERS[i % len(MARKERS)], part) for i, ((source, said), part) in enumerate(parts)}


def _mark(x, y, marker: str, **more):
    look = dict(linestyle="", color=palette.MARK, markersize=4, markerfacecolor=palette.PAPER, markeredgewidth=0.8, zorder=4)
    return plt.Line2D(x, y, marker=marker, **look, **more)


def _published_marks(axis, here: pd.DataFrame, models, values: pd.DataFrame, marker: str) -> None:
    """A mark at every published value, over the bar of its model and place."""
    places = _labels(here)
    for row in values.to_dict("records"):
        x = places.index((row["level"], row["task"], row["group"])) + _offset(models.index(row["model"]), len(models))
        axis.add_line(_mark([x], [100 * row["published"]], marker))


def _offset(number: int, models: int) -> float:
    """How far a model's bar stands from the middle of its place."""
    return (number - (models - 1) / 2) * 0.8 / models


def _labels(here: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The bars' places on the axis, as (level, task, group): first tasks, then groups, then all."""
    keys = here[["level", "task", "group"]].drop_duplicates()
    return [tuple(key) for level in ("task", "group", "all") for key in keys[keys["level"] == level].to_numpy()]


def _dataset_bars(axis, here: pd.DataFrame, models) -> None:
    places = _labels(here)
    at, width = np.arange(len(places)), 0.8 / len(models)
    keyed = here.set_index(["model", "level", "task", "group"])
    for i, (model, colour) in enumerate(zip(models, palette.MODELS)):
        mine = keyed.reindex([(model, *place) for place in places])
        x = at + _offset(i, len(models))
        error = 100 * np.stack([mine["accuracy"] - mine["ci_low"], mine["ci_high"] - mine["accuracy"]]).astype(float)
        bars = axis.bar(x, 100 * mine["accuracy"], 0.92 * width, color=colour, label=model, yerr=error, error_kw={"linewidth": 1})
        axis.bar_label(bars, ["" if np.isnan(a) else f"{100 * a:.0f}" for a in mine["accuracy"]], fontsize=6, padding=1)
    chance = here.groupby(["level", "task", "group"])["chance"].mean().reindex(places)
    axis.hlines(100 * chance, at - 0.45, at + 0.45, color=palette.CHANCE, linestyle="--", linewidth=1, label="chance")
    axis.set_xticks(at, [_name(place, here) for place in places], fontsize=6)
    axis.set_ylim(0, 114)
    axis.set_ylabel("Accuracy (%)")


def _name(place, here) -> str:
    """A place's label: the task, its direction if it has one, and what its questions need, if known."""
    level, task, group = place
    if level != "task":
        return f"{group.replace('_', chr(10), 1)}\n(mean of tasks)" if level == "group" else "all"
    needs = here[(here["task"] == task) & (here["level"] == level)]["needs"].iloc[0]
    direction = f" {group}" if group in ("A2I", "I2A") else ""
    known = "" if needs == "unknown" else f"\n(needs {needs})"
    return f"{task.replace('_', ' ').replace(' ', chr(10), 1)}{direction}{known}"
