"""What answers rest on: accuracy without a sense, and the effect of cutting each sense's route to the question."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import free_answers
from .baseline import chance_of, needs_of
from .statistics import cluster_bootstrap, proportion
from .task_groups import rank

VARIANTS = ("as_is", "muted", "blanked", "text_only", "swapped")
SENSES = {"audio->question": "muted", "video->question": "blanked"}  # a sense's route, and the variant without that sense


def reliance(path, evaluated, draws: int, seed: int, by: str = "task") -> pd.DataFrame:
    """Accuracy as is and in every variant, by model, dataset and task (or group, with by="group").

    Only questions that were asked again. path: the table of variants; evaluated: the table of answers as is. swapped_n: number of
    questions for which another clip's sound was found. share_A to share_D, and likewise for other labels in use: how often each
    label is answered as is. same_content: share of questions with the same answered content in every order of the options.
    needs_audio: share of questions that sound decides, alone or with the picture.
    """
    changed, as_is = pq.read_table(path).to_pandas(), pq.read_table(evaluated).to_pandas().assign(variant="as_is")
    as_is = free_answers.with_options(as_is, f"{path}, reliance")
    key = ["model", "dataset", "question_id"]
    asked = as_is.merge(changed[key].drop_duplicates(), on=key)  # only questions that were asked again
    rows = pd.concat([asked, changed])
    letters = [*"ABCD", *sorted(set(asked["answer"]) - set("ABCD"))]
    found = []
    for (model, dataset, *keys), here in rows.groupby(
        ["model", "dataset", *(["task", "group"] if by == "task" else ["group"])], sort=False
    ):
        wide = here.pivot(index=["question_id", "cluster"], columns="variant", values="correct").astype(float)
        clusters = wide.index.get_level_values("cluster")
        as_is = here[here["variant"] == "as_is"]
        entry = {"model": model, "dataset": dataset, "task": keys[0], "group": keys[-1], "n": len(wide)}
        entry["needs"] = needs_of(as_is["needs"])
        entry["needs_audio"] = as_is["needs"].str.contains("A").mean()
        for variant in VARIANTS:
            values = wide[variant].to_numpy() if variant in wide else np.full(len(wide), np.nan)
            mean, low, high = proportion(values, clusters, draws, seed)
            entry.update({variant: mean, f"{variant}_low": low, f"{variant}_high": high})
        entry["swapped_n"] = int(wide["swapped"].notna().sum()) if "swapped" in wide else 0
        entry.update({f"share_{x}": (as_is["answer"] == x).mean() for x in letters})
        orders = here[(here["variant"] == "as_is") | here["variant"].str.startswith("shuffled")]
        entry["same_content"] = (orders.groupby("question_id")["content"].nunique() == 1).mean()
        entry["chance"] = chance_of(as_is).mean()
        found.append(entry)
    return pd.DataFrame(sorted(found, key=lambda one: (one["model"], rank(one["group"]))))


def areas(rows: pd.DataFrame, table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """The effect of every sense's route beside the accuracy lost without the sense, by model and group of tasks.

    rows: from `effects.relative_change`, one width per model; table: rows of `reliance` by group, for the same dataset. area: the
    mean change in % over all centres, with its 95 % interval low, high. lost: accuracy as is minus accuracy without the sense, in
    points. Columns: model, group, route, n, area, low, high, lost.
    """
    found = []
    for route, variant in SENSES.items():
        for (model, group), here in rows[rows["route"] == route].groupby(["model", "group"], sort=False):
            mine = here.groupby(["question_id", "cluster"])["change"].mean()
            mean, low, high = cluster_bootstrap(mine.to_numpy()[:, None], mine.index.get_level_values("cluster"), draws, seed)
            one = table[(table["model"] == model) & (table["group"] == group)]
            lost = 100 * float((one["as_is"] - one[variant]).iloc[0]) if len(one) else np.nan
            entry = dict(model=model, group=group, route=route, n=len(mine), area=mean[0], low=low[0], high=high[0], lost=lost)
            found.append(entry)
    return pd.DataFrame(found, columns=["model", "group", "route", "n", "area", "low", "high", "lost"])


def dial(table: pd.DataFrame, rows: pd.DataFrame, routes, draws: int, seed: int) -> pd.DataFrame:
    """The route effects of the graded tasks, by the share of their questions that sound decides.

    table: from `reliance`, the graded tasks; rows: from `effects.relative_change` for their dataset. Each route is read at one
    centre, the one with the lowest mean change over all of a model's graded tasks. Columns: model, task, needs_audio, route,
    centre, mean, low, high.
    """
    found = []
    for (model, route), one in rows[rows["route"].isin(routes)].groupby(["model", "route"], sort=False):
        centre = one.groupby("centre")["change"].mean().idxmin()
        mine = table[table["model"] == model]
        for task, needs_audio in zip(mine["task"], mine["needs_audio"]):
            here = one[(one["task"] == task) & (one["centre"] == centre)]
            mean, low, high = cluster_bootstrap(here[["change"]].to_numpy(), here["cluster"], draws, seed)
            entry = {"model": model, "task": task, "needs_audio": needs_audio, "route": route, "centre": centre}
            found.append({**entry, "mean": mean[0], "low": low[0], "high": high[0]})
    return pd.DataFrame(found, columns=["model", "task", "needs_audio", "route", "centre", "mean", "low", "high"])
