"""Whose answer wins if a clip's pictures go with another clip's sound, and in which layers that is decided.

Only pairs count that the model knows: it answers rightly about either clip alone. The preference is log p(heard answer) - log
p(seen answer), in nats. Above 0, the sound wins.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from .effects import COLUMNS, Effects, Reading
from .statistics import proportion
from .task_groups import rank

WINNERS = ("heard", "seen", "other")
OF_PAIR = ["model", "dataset", "question_id", "cluster", "task", "group", "needs"]
SCORES = ["logp_gold", "logp_partner", "logp_gold_clean", "logp_partner_clean"]


def pairs(path, models) -> pd.DataFrame:
    """One row per model and pair, nothing cut: OF_PAIR, the winner, `known`, the preference, and `both`.

    both: the pictures decide the own question, and sound the partner's. Then each sense alone tells an answer.
    """
    columns = [*OF_PAIR, "layout", *SCORES, "answer", "gold", "partner_answer", "partner_needs", "known"]
    keep = [("model", "in", list(models)), ("control", "=", "null")]
    rows = pq.read_table(path, columns=columns, filters=keep).to_pandas()
    heard, seen = rows["answer"] == rows["partner_answer"], rows["answer"] == rows["gold"]
    winner = np.select([heard, seen], WINNERS[:2], WINNERS[2])
    both = (rows["needs"] == "V") & (rows["partner_needs"] == "A")
    return rows.assign(winner=winner, both=both, preference=rows["logp_partner"] - rows["logp_gold"])


def winners(path, models, draws: int, seed: int) -> pd.DataFrame:
    """Shares of winners in % among known pairs, with pointwise intervals, by model, dataset and task.

    kind: "all" pairs, or those in which each sense alone tells an answer ("both"). asked: pairs, known or not. needs_audio: share
    of the own questions that sound decides.
    """
    found, rows = [], pairs(path, models)
    for (model, dataset, task, group), here in rows.groupby(["model", "dataset", "task", "group"], sort=False):
        for kind, some in (("all", here), ("both", here[here["both"]])):
            known = some[some["known"].astype(bool)]
            entry = dict(model=model, dataset=dataset, task=task, group=group, kind=kind, asked=len(some), n=len(known))
            entry |= {"needs_audio": here["needs"].str.contains("A").mean(), "preference": known["preference"].mean()}
            for name in WINNERS:
                share = proportion(known["winner"] == name, known["cluster"], draws, seed)
                entry |= dict(zip((name, f"{name}_low", f"{name}_high"), [100 * end for end in share]))
            found.append(entry)
    return pd.DataFrame(sorted(found, key=lambda one: (one["dataset"], rank(one["group"]))))


def changes(path, models, datasets, cut: str) -> pd.DataFrame:
    """The rows of known pairs, with COLUMNS of `effects`: `change` is how far a cut or patch moves the preference, in nats.

    datasets: names, or None for all. cut: "mask" or "resample". noise: the difference between null rows and the clean forward, in
    the margin of the seen answer.
    """
    columns = [*(c for c in COLUMNS if c not in ("change", "noise")), *SCORES, "margin_clean", "known", "applicable"]
    keep = [("model", "in", list(models)), ("known", "=", True), *([("dataset", "in", list(datasets))] if datasets else [])]
    rows = pq.read_table(path, columns=columns, filters=[*keep, ("cut", "=", cut), ("control", "=", "none")]).to_pandas()
    rows = rows[rows["applicable"].astype(bool)]
    null = pq.read_table(path, columns=["model", "question_id", "margin_clean"], filters=[*keep, ("control", "=", "null")])
    null = null.to_pandas().set_index(["model", "question_id"])["margin_clean"]
    own = pd.MultiIndex.from_frame(rows[["model", "question_id"]])
    now, clean = rows["logp_partner"] - rows["logp_gold"], rows["logp_partner_clean"] - rows["logp_gold_clean"]
    noise = rows["margin_clean"].to_numpy() - null.reindex(own).to_numpy()
    return rows.assign(change=(now - clean).astype(float), noise=noise)[COLUMNS].reset_index(drop=True)


def effects(path, models, draws: int, seed: int, cut: str) -> Effects:
    """The same in all datasets, for figures."""
    reading = Reading("", metric="logit_difference", draws=draws, seed=seed)
    rows, none = changes(path, models, None, cut), pd.DataFrame(columns=COLUMNS)
    return Effects(reading, rows, none, none)
