"""Accuracy before anything is cut, by model and task, beside published values; and the questions that were dropped."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from . import published
from .statistics import cluster_bootstrap
from .task_groups import rank


def needs_of(column) -> str:
    """What a task's questions need: A, V or AV. The graded tasks have several, joined by "or"."""
    return " or ".join(sorted(column.unique()))


def chance_of(rows: pd.DataFrame) -> pd.Series:
    """Accuracy of guessing, by question: 1 over the number of options. rows: of `evaluate`.

    Questions with labels other than A to D list their logits in option_logits, which older tables do not have.
    """
    letters = rows[[f"logit_{x}" for x in "ABCD"]].notna().sum(axis=1)
    if "option_logits" not in rows:
        return 1 / letters
    listed = [None if one is None or isinstance(one, float) else len(one) for one in rows["option_logits"]]
    return 1 / pd.Series(listed, rows.index, dtype=float).fillna(letters)


def accuracies(path, reported, draws: int, seed: int) -> pd.DataFrame:
    """Accuracy by model and dataset, for every task, for every group of several tasks, and for all questions.

    A task with two directions has one row for each. A group's accuracy is the mean of its tasks' accuracies, as in the paper's
    Table 4. no_letter: number of answers that were not a letter, which count as wrong. reported: the file
    resources/published/accuracy.csv. If it has several values, `published` is the first and `published_other` lists the rest.
    """
    rows = pq.read_table(path).to_pandas()
    rows = rows.assign(chance=chance_of(rows))
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
    """One row of `accuracies` from the answers `here`. columns: one 0/1 column per task; the accuracy is their mean of means."""
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
    """The mean of the columns' means, and its 95 % interval from a bootstrap over clusters."""
    if columns.shape[1] == 1:
        return tuple(float(x[0]) for x in cluster_bootstrap(columns.astype(float), clusters, draws, seed))
    values = columns.astype(float)
    share = values.notna().mean()
    weighted = (values / share / values.shape[1]).sum(axis=1, min_count=1)  # its mean is the mean of the columns' means
    mean, low, high = cluster_bootstrap(weighted.to_frame(), clusters, draws, seed)
    return float(mean[0]), float(low[0]), float(high[0])


def drops(paths) -> pd.DataFrame:
    """Number of dropped questions by dataset, task and reason, from the tsv files of the prepare rules."""
    tables = []
    for path in map(Path, paths):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        tables.append(table.assign(dataset=path.name.removesuffix(".dropped.tsv")))
    counted = pd.concat(tables).groupby(["dataset", "task", "reason"], sort=True).size()
    return counted.rename("n").reset_index()
