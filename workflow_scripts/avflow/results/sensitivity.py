"""What the paper leaves open: do the main routes move if it meant something else?

Every choice has a base and alternatives, cut in the same questions. A route's peak is the lowest point of its mean curve. Each
alternative is compared with the base: the peak's shift in points of % change, and in layers.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import free_answers
from .effects import pointwise
from .statistics import Clustered, cluster_bootstrap

BASE = "base"
BY = ["model", "dataset", "choice", "alternative"]
LEVEL = 0.95


def read(path, choices: dict, models) -> pd.DataFrame:
    """Rows of the real cuts and null rows of all choices, with `change`, the % change of the answer's probability.

    choices: choice -> its entry in config.yaml. A choice of correct answers keeps the questions that are right under the base and
    under every alternative that asks them; a choice of all questions keeps all, with the change of the answer given. A route's
    cuts are counted in questions in which every alternative cuts it that cuts it at all, unless the choice is one of tasks.
    """
    columns = [
        *BY,
        "differs",
        "question_id",
        "cluster",
        "task",
        "group",
        "route",
        "centre",
        "control",
        "logp_base",
        "p_base_clean",
    ]
    keep = [("model", "in", list(models)), ("choice", "in", list(choices)), ("control", "in", ("none", "null"))]
    columns = free_answers.columns_of(path, [*columns, "correct_clean", "applicable"])
    rows = pq.read_table(path, columns=columns, filters=keep).to_pandas()
    right = rows.groupby(["model", "dataset", "choice", "question_id"])["correct_clean"].transform("all")
    every = rows["choice"].map(lambda name: choices[name].get("questions") == "all")
    rows = rows.assign(change=free_answers.change(rows), counted=right | every)
    rows = rows[rows["applicable"].fillna(False).astype(bool) | (rows["control"] == "null")]
    rows["counted"] &= _cut_everywhere(rows) | rows["choice"].map(lambda name: _other_tasks(choices[name]))
    place = rows["model"].map(list(models).index) * len(choices) + rows["choice"].map(list(choices).index)
    first = rows["alternative"] != BASE
    return rows.iloc[np.lexsort((first, place))].reset_index(drop=True)


def _cut_everywhere(rows: pd.DataFrame) -> pd.Series:
    """Whether all alternatives that cut a row's route in any question cut it in this one (rows,); true for null rows."""
    place, cuts = ["model", "dataset", "choice", "route"], rows[rows["control"] != "null"]
    everywhere = cuts.groupby(place)["alternative"].transform("nunique")
    here = cuts.groupby([*place, "question_id"])["alternative"].transform("nunique")
    return (here == everywhere).reindex(rows.index, fill_value=True)


def _other_tasks(choice: dict) -> bool:
    """Whether an alternative of a choice asks other tasks, so that its questions are not the base's."""
    return any("tasks" in other for other in choice.get("alternatives", {}).values())


def cuts_of(rows: pd.DataFrame, **where) -> pd.DataFrame:
    """The real cuts in counted questions, of the given columns' values."""
    wanted = (rows["control"] == "none") & rows["counted"]
    for column, value in where.items():
        wanted &= rows[column] == value
    return rows[wanted]


def alternatives_of(rows: pd.DataFrame, choice: str) -> list[str]:
    """The alternatives of a choice that have rows, the base first, the others in the order of config.yaml."""
    return list(dict.fromkeys(rows.loc[rows["choice"] == choice, "alternative"]))


def influence(values: pd.DataFrame, before, after) -> np.ndarray:
    """Each question's part in the difference of two columns' means, plus that difference: its mean is the difference (n,).

    values: one row per question, NaN where a question is not in a column. Where every question is in both, these are the paired
    differences. Otherwise their bootstrap is that of a difference of two means over overlapping questions, linearised.
    """
    parts = []
    for column in (after, before):
        inside = values[column].notna().to_numpy()
        off = np.where(inside, values[column] - values[column].mean(), 0.0)
        parts.append(off * len(values) / max(1, inside.sum()))
    return parts[0] - parts[1] + values[after].mean() - values[before].mean()


def shift(base: pd.DataFrame, other: pd.DataFrame, threshold: float, draws: int, seed: int) -> dict:
    """How a route's peak differs between two alternatives: in points and in layers, with 95 % intervals over clips.

    base, other: one row per question and centre. The points compare both curves at their own peaks. The layers' interval holds
    the middle 95 % of draws, in each of which both peaks are sought anew. Where a peak is no deeper than `threshold` %, it has no
    place, so there are no layers.
    """
    wide = pd.concat(
        {
            name: one.pivot(index=["question_id", "cluster"], columns="centre", values="change")
            for name, one in ((0, base), (1, other))
        },
        axis=1,
    )
    clusters = wide.index.get_level_values("cluster").to_numpy()
    mean = wide.mean()
    before, after = ((side, mean[side].idxmin()) for side in (0, 1))
    _, low, high = cluster_bootstrap(influence(wide, before, after)[:, None], clusters, draws, seed)
    found = {"shift": mean[after] - mean[before], "shift_low": low[0], "shift_high": high[0]}
    if max(mean[before], mean[after]) > -threshold:
        return found
    data = Clustered(wide.to_numpy(), clusters)
    side, centres = wide.columns.get_level_values(0).to_numpy(), wide.columns.get_level_values(1).to_numpy()
    moved = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for _, weights in data.resamples(draws, seed):
            drawn = data.mean + (weights @ data.off) / (weights @ data.counts)  # (some draws, columns)
            drawn = drawn[~np.isnan(drawn).any(1)]  # a draw without any question of one side has no peak
            moved.append(centres[side == 1][drawn[:, side == 1].argmin(1)] - centres[side == 0][drawn[:, side == 0].argmin(1)])
    ends = np.quantile(np.concatenate(moved), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], method="nearest")
    return found | {"layers": after[1] - before[1], "layers_low": ends[0], "layers_high": ends[1]}


def summary(rows: pd.DataFrame, routes: dict, threshold: float, draws: int, seed: int) -> pd.DataFrame:
    """By model, dataset, choice, alternative, group ("all", then each) and route: the peak, and its shift from the base's.

    rows: from `read`; routes: dataset -> routes; threshold: see `shift`. n_asked, n_right: questions asked under the alternative,
    and those answered correctly; n: questions behind the numbers. change: % at the peak's centre, with a pointwise interval. The
    centre is missing where the peak has no place. A route that cannot be cut under an alternative has n = 0 and no numbers.
    """
    found = []
    for where, mine in rows.groupby(BY, sort=False):
        where = dict(zip(BY, where))
        base = {key: where[key] for key in BY[:3]} | {"alternative": BASE}
        for group in ["all", *dict.fromkeys(mine["group"])]:
            inside = {} if group == "all" else {"group": group}
            of = mine if group == "all" else mine[mine["group"] == group]
            asked = of[of["control"] == "null"].drop_duplicates("question_id")
            entry = {**where, "differs": mine["differs"].iloc[0], "group": group}
            entry |= {"n_asked": len(asked), "n_right": int(asked["correct_clean"].sum())}
            for route in routes[where["dataset"]]:
                here, there = (cuts_of(rows, **w, **inside, route=route) for w in (where, base))
                line = {**entry, "route": route, "n": here["question_id"].nunique()}
                if len(here):
                    curve = pointwise(here, draws, seed)
                    i = int(np.argmin(curve.mean))
                    line |= {"centre": curve.centres[i] if curve.mean[i] <= -threshold else None, "change": curve.mean[i]}
                    line |= {"ci_low": curve.low[i], "ci_high": curve.high[i]}
                if len(here) and len(there) and where["alternative"] != BASE:
                    line |= shift(there, here, threshold, draws, seed)
                found.append(line)
    columns = [*BY, "differs", "group", "route", "n_asked", "n_right", "n", "centre", "change", "ci_low", "ci_high"]
    columns += ["shift", "shift_low", "shift_high", "layers", "layers_low", "layers_high"]
    return pd.DataFrame(found, columns=columns)
