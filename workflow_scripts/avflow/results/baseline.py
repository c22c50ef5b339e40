"""Accuracy before anything is cut, by model and task, beside published values; and the questions that were dropped."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from . import conditions, free_answers, published
from .statistics import proportion
from .task_groups import rank

PLACE = ["model", "dataset", "level", "task", "group"]  # what names a row of `accuracies`


def needs_of(column) -> str:
    """What a task's questions need: A, V or AV. The graded tasks have several, joined by "or"."""
    return " or ".join(sorted(column.unique()))


def chance_of(rows: pd.DataFrame) -> pd.Series:
    """Accuracy of guessing, by question: 1 over the number of options, 0 without options. rows: of `evaluate`.

    Questions with labels other than A to D list their logits in option_logits, which older tables do not have.
    """
    letters = rows[[f"logit_{x}" for x in "ABCD"]].notna().sum(axis=1)
    if "option_logits" not in rows:
        return (1 / letters).where(letters > 0, 0.0)
    listed = [None if one is None or isinstance(one, float) else len(one) for one in rows["option_logits"]]
    options = pd.Series(listed, rows.index, dtype=float).fillna(letters)
    return (1 / options).where(options > 0, 0.0)


def accuracies(path, reported, draws: int, seed: int, asked: dict | None = None) -> pd.DataFrame:
    """Accuracy by model and dataset, for every task, for every group of several tasks, and for all questions.

    A task with two directions has one row for each. A group's accuracy is the mean of its tasks' accuracies, as in the paper's
    Table 4. no_letter: number of answers that were not a letter, which count as wrong. reported: the file
    resources/published/accuracy.csv. If it has several values, `published` is the first and `published_other` lists the rest.
    published_conditions: see `conditions.words`. asked: our own conditions, see `conditions`.
    """
    rows = free_answers.with_right_answer(pq.read_table(path).to_pandas(), f"{path}, accuracy")
    rows = rows.assign(chance=chance_of(rows))
    found = []
    for (model, dataset), mine in rows.groupby(["model", "dataset"], sort=False):
        about = dict(model=model, dataset=dataset)
        tasks = sorted(mine.groupby(["task", "group"], sort=False), key=lambda one: rank(one[0][1]))
        for (task, group), here in tasks:
            found.append(_entry(about, "task", task, group, here, here[["correct"]], draws, seed))
        for group, here in mine.groupby("group", sort=False):
            if here["task"].nunique() > 1:
                columns = pd.DataFrame({t: here["correct"].where(here["task"] == t) for t in here["task"].unique()})
                found.append(_entry(about, "group", "mean of tasks", group, here, columns, draws, seed))
        if mine["task"].nunique() > 1:
            found.append(_entry(about, "all", "all", "all", mine, mine[["correct"]], draws, seed))
    table = pd.DataFrame(found)
    values = reported_values(table, reported, asked)
    first = values.drop_duplicates(PLACE).set_index(PLACE)
    rest = values[values.duplicated(PLACE)].set_index(PLACE)
    rest = pd.Series(
        [f"{100 * v.published:.4g} ({v.source}; {v.conditions})" for v in rest.itertuples()], rest.index, dtype=object
    )
    places = pd.MultiIndex.from_frame(table[PLACE])
    for name in ("published", "source", "conditions"):
        table[name if name == "published" else f"published_{name}"] = first[name].reindex(places).to_numpy()
    table["published_other"] = rest.groupby(level=PLACE, sort=False).agg("; ".join).reindex(places).to_numpy()
    texts = ["published_source", "published_conditions", "published_other"]
    table[texts] = table[texts].astype(object).fillna("")
    return table


def reported_values(table: pd.DataFrame, reported, asked: dict | None = None) -> pd.DataFrame:
    """Every published accuracy of a row of `accuracies`: PLACE, published (0 to 1), source, conditions (`conditions.words`)."""
    columns = ("dataset", "level", "task", "group", "model", "accuracy", *published.CONDITIONS)
    known, found = published.read(reported, *columns), []
    for place in table[PLACE].to_dict("records"):
        rows = published.find(known, place["dataset"], place["task"], place["group"], level=place["level"])
        rows = rows[rows["model"].map(lambda other, model=place["model"]: published.same_model(model, other)).astype(bool)]
        ours = conditions.here(asked, place["dataset"], place["model"])
        for row in rows.to_dict("records"):
            said = conditions.words(row["fps"], row["prompt"], ours)
            found.append({**place, "published": float(row["accuracy"]) / 100, "source": row["source"], "conditions": said})
    return pd.DataFrame(found, columns=[*PLACE, "published", "source", "conditions"]).astype({"published": float})


def _entry(about, level, task, group, here, columns, draws: int, seed: int) -> dict:
    """One row of `accuracies` from the answers `here`. columns: one 0/1 column per task; the accuracy is their mean of means."""
    mean, low, high = _mean_of_means(columns, here["cluster"], draws, seed)
    entry = {**about, "level": level, "task": task, "group": group, "needs": needs_of(here["needs"]), "n": len(here)}
    entry |= dict(correct=int(here["correct"].sum()), accuracy=mean, ci_low=low, ci_high=high, chance=here["chance"].mean())
    entry["no_letter"] = int(here["says_letter"].eq(False).sum())
    return entry


def _mean_of_means(columns, clusters, draws: int, seed: int) -> tuple[float, float, float]:
    """The mean of the columns' means, and its 95 % interval over clusters."""
    values = columns.astype(float)
    share = values.notna().mean()
    weights = (values.notna() / share / values.shape[1]).sum(
        axis=1
    )  # so that the weighted mean is the mean of the columns' means
    return proportion(values.max(axis=1).to_numpy(), clusters.to_numpy(), draws, seed, weights.to_numpy())


def drops(paths) -> pd.DataFrame:
    """Number of dropped questions by dataset, task and reason, from the tsv files of the prepare rules."""
    tables = []
    for path in map(Path, paths):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        tables.append(table.assign(dataset=path.name.removesuffix(".dropped.tsv")))
    counted = pd.concat(tables).groupby(["dataset", "task", "reason"], sort=True).size()
    return counted.rename("n").reset_index()
