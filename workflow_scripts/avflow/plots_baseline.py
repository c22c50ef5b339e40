"""Accuracy before anything is cut, by model and task, beside what is published; and what was dropped on the way."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import published
from .plots import BLUE, GREEN, ORANGE, PURPLE, rank
from .statistics import cluster_bootstrap

COLOURS = (BLUE, ORANGE, GREEN, PURPLE)


def needs_of(column) -> str:
    """What a task's questions need: A, V, AV, or several of them, as in the graded tasks."""
    return " or ".join(sorted(column.unique()))


def accuracies(path, reported, draws: int, seed: int) -> pd.DataFrame:
    """Accuracy by model and dataset, of every task (in both directions, where it has two), of groups of tasks, and of all.

    level "group" is the mean of its tasks' accuracies, as the paper's Table 4 has it, where a group has several. no_letter: how
    many answers were something else than a letter, and so wrong. reported: resources/published/accuracy.csv; of several
    published values the first is taken, `published_other` names the rest.
    """
    rows = pq.read_table(path).to_pandas()
    rows = rows.assign(chance=1 / rows[[f"logit_{x}" for x in "ABCD"]].notna().sum(axis=1))
    known = published.read(reported, "dataset", "level", "task", "group", "model", "accuracy", "source")
    found = []
    for (model, dataset), mine in rows.groupby(["model", "dataset"], sort=False):
        about = dict(model=model, dataset=dataset)
        tasks = sorted(mine.groupby(["task", "group"], sort=False), key=lambda one: rank(one[0][1]))
        for (task, group), here in tasks:
            found.append(_entry(about, "task", task, group, here, here[["correct"]], known, draws, seed))
        for group, here in mine.groupby("group", sort=False):
            if here["task"].nunique() > 1:
                columns = pd.DataFrame({t: here["correct"].where(here["task"] == t) for t in here["task"].unique()})
                found.append(_entry(about, "group", "mean of tasks", group, here, columns, known, draws, seed))
        if mine["task"].nunique() > 1:
            found.append(_entry(about, "all", "all", "all", mine, mine[["correct"]], known, draws, seed))
    return pd.DataFrame(found)


def _entry(about, level, task, group, here, columns, known, draws: int, seed: int) -> dict:
    """One row of `accuracies` from the answers `here`. columns: one 0/1 column a task; the value is the mean of their means."""
    mean, low, high = _mean_of_means(columns, here["cluster"], draws, seed)
    entry = {**about, "level": level, "task": task, "group": group, "needs": needs_of(here["needs"]), "n": len(here)}
    entry |= dict(correct=int(here["correct"].sum()), accuracy=mean, ci_low=low, ci_high=high, chance=here["chance"].mean())
    entry["no_letter"] = int((~here["says_letter"]).sum())
    theirs = published.find(known, about["dataset"], task, group, level=level)
    theirs = theirs[theirs["model"].map(lambda other: published.same_model(about["model"], other)).astype(bool)]
    values = [f"{accuracy} ({source})" for accuracy, source in zip(theirs["accuracy"], theirs["source"])]
    entry["published"] = float(theirs["accuracy"].iloc[0]) / 100 if len(theirs) else None
    entry["published_source"] = theirs["source"].iloc[0] if len(theirs) else ""
    return {**entry, "published_other": "; ".join(values[1:])}


def _mean_of_means(columns, clusters, draws: int, seed: int) -> tuple[float, float, float]:
    """The mean over columns of their means, and its interval over clusters drawn with replacement."""
    if columns.shape[1] == 1:
        return tuple(float(x[0]) for x in cluster_bootstrap(columns.astype(float), clusters, draws, seed))
    values = columns.astype(float)
    share = values.notna().mean()
    weighted = (values / share / values.shape[1]).sum(axis=1, min_count=1)  # its mean over rows is the mean of the columns' means
    mean, low, high = cluster_bootstrap(weighted.to_frame(), clusters, draws, seed)
    return float(mean[0]), float(low[0]), float(high[0])


def drops(paths) -> pd.DataFrame:
    """Dropped questions by dataset, task and reason, from the tsv files of the prepare rules."""
    tables = []
    for path in map(Path, paths):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        tables.append(table.assign(dataset=path.name.removesuffix(".dropped.tsv")))
    counted = pd.concat(tables).groupby(["dataset", "task", "reason"], sort=True).size()
    return counted.rename("n").reset_index()


def accuracy_bars(table: pd.DataFrame, dropped: pd.DataFrame):
    """A panel a dataset: bars by task and model with intervals, the level of chance, and a diamond where a value is published.

    Below each: how many questions were dropped, for which reason, and how many answers were no letter.
    """
    datasets, models = list(pd.unique(table["dataset"])), list(pd.unique(table["model"]))
    widest = max(len(_labels(table[table["dataset"] == d])) for d in datasets)
    size = (min(16, max(6, 0.55 * widest * len(models) ** 0.5 + 1.2)), 2.5 * len(datasets) + 0.4)
    figure, axes = plt.subplots(len(datasets), 1, figsize=size, squeeze=False)
    for axis, dataset in zip(axes[:, 0], datasets):
        _dataset_bars(axis, table[table["dataset"] == dataset], models)
        lost = dropped[dropped["dataset"] == dataset].groupby("reason")["n"].sum()
        reasons = f" ({', '.join(f'{n} {reason}' for reason, n in lost.items())})" if len(lost) else ""
        silent = table[(table["dataset"] == dataset) & (table["level"] == "task")].groupby("model", sort=False)["no_letter"].sum()
        answers = ", ".join(f"{n}" if len(silent) == 1 else f"{n} ({model})" for model, n in silent.items())
        note = f"{dataset}: {int(lost.sum())} questions dropped{reasons}; answers that are no letter: {answers}"
        axis.set_title(note, fontsize=8, loc="left")
    handles = axes[0, 0].get_legend_handles_labels()[0]
    if table["published"].notna().any():
        handles.append(plt.Line2D([], [], linestyle="", marker="D", color="black", markerfacecolor="white", label="published"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _labels(here: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The places on the axis: (level, task, group) in order, tasks first."""
    keys = here[["level", "task", "group"]].drop_duplicates()
    return [tuple(key) for level in ("task", "group", "all") for key in keys[keys["level"] == level].to_numpy()]


def _dataset_bars(axis, here: pd.DataFrame, models) -> None:
    places = _labels(here)
    at, width = np.arange(len(places)), 0.8 / len(models)
    keyed = here.set_index(["model", "level", "task", "group"])
    for i, (model, colour) in enumerate(zip(models, COLOURS)):
        mine = keyed.reindex([(model, *place) for place in places])
        x = at + (i - (len(models) - 1) / 2) * width
        error = 100 * np.stack([mine["accuracy"] - mine["ci_low"], mine["ci_high"] - mine["accuracy"]]).astype(float)
        bars = axis.bar(x, 100 * mine["accuracy"], 0.92 * width, color=colour, label=model, yerr=error, error_kw={"linewidth": 1})
        axis.bar_label(bars, ["" if np.isnan(a) else f"{100 * a:.0f}" for a in mine["accuracy"]], fontsize=6, padding=1)
        shown = mine["published"].notna().to_numpy()
        values = 100 * mine["published"].to_numpy(dtype=float)[shown]
        axis.plot(x[shown], values, "D", color="black", markersize=4, markerfacecolor="white", zorder=4)
    chance = here.groupby(["level", "task", "group"])["chance"].mean().reindex(places)
    axis.hlines(100 * chance, at - 0.45, at + 0.45, color="0.3", linestyle="--", linewidth=1, label="chance")
    axis.set_xticks(at, [_name(place, here) for place in places], fontsize=6)
    axis.set_ylim(0, 114)
    axis.set_ylabel("Accuracy (%)")


def _name(place, here) -> str:
    """A place's label: the task, its direction where that is not the task itself, and what it needs."""
    level, task, group = place
    if level != "task":
        return f"{group.replace('_', chr(10), 1)}\n(mean of tasks)" if level == "group" else "all"
    needs = here[(here["task"] == task) & (here["level"] == level)]["needs"].iloc[0]
    direction = f" {group}" if group in ("A2I", "I2A") else ""
    known = "" if needs == "unknown" else f"\n(needs {needs})"
    return f"{task.replace('_', ' ').replace(' ', chr(10), 1)}{direction}{known}"
