"""Do Tables 1 to 4 agree with themselves, and with the tables that they sum up? Identities for the measure `coherent`.

Each function returns the name of an identity -> whether it holds, by row (rows,).
"""

import json

import numpy as np
import pandas as pd

from .statistics import paired_change, paired_score_interval
from .study_tables import Tables
from .table_4 import alike, task_names

NEAR = 0.01  # of probabilities, shares and points


def agrees_with_itself(rows: pd.DataFrame) -> dict:
    """Rows of Tables 1 and 4: changes are those of accuracies, intervals hold them, and times fit each other."""
    key = [name for name in ("model", "part", "group", "dataset", "task") if name in rows]
    none = rows[rows["setting"] == "none"].drop_duplicates(key).set_index(key)["accuracy"]
    own = none.reindex(pd.MultiIndex.from_frame(rows[key])).to_numpy()
    base, sizes = rows["setting"] == "none", rows.groupby(["part", "setting"])[["n"]].sum()
    found = {
        "a change is that of the accuracy": base | ((rows["accuracy"] - own - rows["change"]).abs() < 2 * NEAR),
        "an interval holds its change": base | ((rows["ci_low"] <= rows["change"]) & (rows["change"] <= rows["ci_high"])),
        "an interval is as wide as so few answers make it": base | _covers(rows),
        "every setting has all questions": sizes.groupby("part")["n"].transform("nunique") == 1,
    }
    if "llm_share" in rows:
        timed = rows["prefill_ms"].notna()
        low, middle, high = (rows[name] for name in ("prefill_ms_low", "prefill_ms", "prefill_ms_high"))
        share = middle / (middle + rows["encoder_ms"])
        found["times lie in their range"] = ~timed | ((low > 0) & (low <= middle) & (middle <= high))
        found["the prompt's share is that of the times"] = ~timed | ((share - rows["llm_share"]).abs() < NEAR)
        found["each token of a reply takes time"] = ~timed | (rows["decode_ms_per_token"] > 0)
        found["every setting is timed equally often"] = timed.groupby(rows["setting"]).transform("sum") == timed.sum() / max(
            1, rows["setting"].nunique()
        )
    return found


def _covers(rows: pd.DataFrame) -> np.ndarray:
    """Whether an interval covers Tango's for its change, if no other answers changed than those that the change tells (rows,)."""
    found = []
    for change, low, high, n in rows[["change", "ci_low", "ci_high", "n"]].fillna(0).itertuples(index=False):
        lost, won = (min(n, max(0.0, sign * change) * n / 100) for sign in (-1, 1))  # no more than all
        least, most = paired_score_interval(lost, won, n)
        found.append(low < 100 * least + 2 * NEAR and high > 100 * most - 2 * NEAR)
    return np.array(found)


def _drawn_again(rows: pd.DataFrame, answers, tables: Tables) -> np.ndarray:
    """Whether the interval of each row is that of its questions (rows,).

    answers(row): the questions' cluster, right answers before and after, and weights, in the order of the table's own rule.
    """
    found = []
    for row in rows.itertuples():
        if row.setting == "none":
            found.append(True)
            continue
        before, after, clusters, weights = answers(row)
        ends = paired_change(before, after, clusters, tables.draws, tables.seed, weights)
        found.append(np.allclose(ends, (row.change, row.ci_low, row.ci_high), atol=2 * NEAR))
    return np.array(found)


def counts(rows: pd.DataFrame, told: pd.DataFrame, model: str) -> dict:
    """Rows of Tables 2 and 3: every task once, with the numbers of the evaluation, and their sums.

    told: the evaluation of the table's dataset by the model.
    """
    tasks = rows[rows["group"] != "all"]
    by_task = told.groupby(["group", "task"])
    own = pd.DataFrame({"n": by_task.size(), "right": by_task["correct"].sum().astype(int)})
    own["n_knockout"] = by_task["study_split"].agg(lambda split: (split == "knockout").sum())
    own = own.reindex(pd.MultiIndex.from_frame(tasks[["group", "task"]]))
    total = rows[(rows["group"] == "all") & (rows["task"] == "all")]
    right = f"correct_{model}"
    found = {
        "every task has one row": ~tasks.duplicated(["group", "task"]),
        "all tasks are there": np.array([len(tasks) == by_task.ngroups, len(total) == 1]),
        "right answers are the evaluation's": tasks[right].to_numpy() == own["right"].to_numpy(),
    }
    for name in ("n", "n_knockout"):
        found[f"{name} is the evaluation's"] = tasks[name].to_numpy() == own[name].to_numpy()
    for name in ("n", "n_knockout", right):
        found[f"the total of {name} is the sum"] = np.array(total[name]) == tasks[name].sum()
    return found


def discards(rows: pd.DataFrame, sources: pd.DataFrame, tables: Tables) -> dict:
    """Rows of Table 4, against the rows of the rule pruning that they sum up: times, sizes, devices, intervals, named layers."""
    shown = sources.assign(shown=task_names(sources))
    means = ["prefill_ms", "prefill_ms_low", "prefill_ms_high", "encoder_ms", "decode_ms_per_token", "peak_bytes"]
    means += ["flops_llm", "kv_bytes", "token_layers"]
    key = ["dataset", "shown", "discard"]
    own = shown.groupby(key)[means].mean().reindex(pd.MultiIndex.from_frame(rows[["dataset", "task", "setting"]]))
    found = {}
    for name in means:
        near = np.isclose(rows[name].to_numpy(dtype=float), own[name].to_numpy(dtype=float), rtol=1e-3, equal_nan=True)
        found[f"{name} is the mean of its questions"] = near
    devices = shown.groupby(key)["device"].agg(lambda names: "; ".join(sorted(set(names)))).reindex(own.index)
    found["the device is that of the questions"] = rows["device"].to_numpy() == devices.to_numpy()
    said = rows["layers"].astype(object).fillna("").astype(str).str.findall(r"(?:^|; )\w+ (\d+) \(")
    some = shown.groupby(key)["plan"].first().reindex(own.index)
    found["the plan's layers are named"] = [
        {*map(int, json.loads(plan))} <= {*map(int, names)} for plan, names in zip(some, said)
    ]
    needed = ["question_id", "correct", "cluster", "task"]
    parts = {name: part[needed].set_index("question_id") for name, part in shown.groupby(key)}
    weights = {name: alike(part["task"]) for name, part in parts.items() if name[2] == "none"}

    def answers(row):
        before, after = (parts[row.dataset, row.task, name] for name in ("none", row.setting))
        weight = weights[row.dataset, row.task, "none"]
        return before["correct"], after["correct"].loc[before.index], before["cluster"], weight

    return found | {"an interval is that of its questions": _drawn_again(rows, answers, tables)}


def masks(rows: pd.DataFrame, sources: pd.DataFrame, tables: Tables) -> dict:
    """Rows of Table 1, against the rows of the rule attention that they sum up."""
    kinds = {"masked": "late", "masked_early": "early"}
    some = sources[sources["kind"].isin(kinds)]
    scores = np.exp(np.array([values[0] for values in some["values"]], dtype=float))
    some = some.assign(part=some["kind"].map(kinds), p=100 * scores, right=100.0 * some["correct"].astype(bool))
    both = pd.concat([some, some.assign(group="all")])
    own = both.groupby(["part", "group", "name"])[["p", "right"]].mean()
    own = own.reindex(pd.MultiIndex.from_frame(rows[["part", "group", "setting"]]))
    wide = both.pivot(index=["part", "group", "question_id", "cluster"], columns="name", values="correct").astype(float)

    def answers(row):
        pairs = wide.loc[(row.part, row.group)]
        return pairs["none"], pairs[row.setting], pairs.index.get_level_values("cluster"), None

    return {
        "an interval is that of its questions": _drawn_again(rows, answers, tables),
        "a probability is the mean of its questions": np.abs(rows["probability"].to_numpy() - own["p"].to_numpy()) < 2 * NEAR,
        "an accuracy is the mean of its questions": np.abs(rows["accuracy"].to_numpy() - own["right"].to_numpy()) < 2 * NEAR,
    }
