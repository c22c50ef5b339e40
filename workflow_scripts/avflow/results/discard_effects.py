"""What discarding tokens costs in accuracy: by the layer after which they leave, and against the operations saved."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from .statistics import non_inferior, paired_change

KINDS = ("Ques", "Audio", "Video", "Ref", "Cand")  # Table 4's, in its order


def kinds_of(discards) -> list[str]:
    """The kinds of token among ways of discarding, in order: the paper's, other kinds in config.yaml, then "All"."""
    found = [name for name in pd.unique(discards) if name not in ("none", "vision", "random", "VTW") and "-" not in name]
    return sorted(found, key=lambda name: (name == "All", KINDS.index(name) if name in KINDS else len(KINDS)))


def by_layer(path, models, datasets, margin: float, draws: int, seed: int) -> pd.DataFrame:
    """Accuracy by model, dataset, kind of token and layer, its change in points, and the accuracy after random discards.

    path: the gathered table of discard_sweep. change: against the same questions without discards; ci_low, ci_high: its 95 %
    interval. random: accuracy after size-matched random discards, as the mean over draws; random_min, random_max: the lowest and
    highest draw. non_inferior: true if a discard after this layer is shown to lose at most `margin` points. Two points need 189
    unchanged answers, so false shows nothing. knee: the first layer from which on the loss never exceeds the margin.
    """
    rows = pq.read_table(path, filters=[("dataset", "in", list(datasets))]).to_pandas()
    found = []
    for (model, dataset), here in rows[rows["model"].isin(models)].groupby(["model", "dataset"], sort=False):
        base = here[here["control"] == "null"].set_index("question_id")
        for kind in kinds_of(here["discard"]):
            curve = []
            for layer, at in here[here["discard"] == kind].groupby("layer"):
                mine = at[at["control"] == "none"].set_index("question_id")["correct"]
                before = base.loc[mine.index]
                change, low, high = paired_change(before["correct"], mine, before["cluster"], draws, seed)
                drawn = 100 * at[at["control"] == "random"].groupby("draw")["correct"].mean()
                entry = {"model": model, "dataset": dataset, "discard": kind, "layer": layer, "n": len(mine)}
                entry |= {"accuracy": 100 * mine.mean(), "accuracy_before": 100 * before["correct"].mean(), "change": change}
                entry |= {"ci_low": low, "ci_high": high, "non_inferior": non_inferior(low, margin)}
                entry |= {"random": drawn.mean(), "random_min": drawn.min(), "random_max": drawn.max()}
                curve.append(entry)
            kept = np.array([entry["change"] >= -margin for entry in curve])
            first = len(kept) - int(np.argmin(kept[::-1])) if not kept.all() else 0
            knee = curve[first]["layer"] if first < len(kept) else None
            found += [{**entry, "knee": knee} for entry in curve]
    return pd.DataFrame(found)


def trade(path, models, datasets, margin: float, draws: int, seed: int) -> pd.DataFrame:
    """Saved share (%) of the LLM's operations, cache and prefill time, and change of accuracy in points.

    One row per model, dataset and way of discarding. path: the gathered table of pruning. All random draws share one row, whose
    change is averaged over draws per question.
    """
    rows = pq.read_table(path, filters=[("dataset", "in", list(datasets))]).to_pandas()
    found = []
    for (model, dataset), here in rows[rows["model"].isin(models)].groupby(["model", "dataset"], sort=False):
        base = here[here["discard"] == "none"].set_index("question_id")
        for way, mine in here[here["discard"] != "none"].groupby("discard", sort=False):
            before = base.loc[mine["question_id"]]
            clusters = before["cluster"].to_numpy()
            if mine["draw"].nunique() > 1:  # several draws of one question are not independent
                after = mine.groupby("question_id")["correct"].mean()
                order = base.loc[after.index]
                change, low, high = paired_change(order["correct"], after, order["cluster"], draws, seed)
            else:
                change, low, high = paired_change(before["correct"].to_numpy(), mine["correct"].to_numpy(), clusters, draws, seed)
            saved = 1 - mine["flops_llm"].sum() / before["flops_llm"].sum()
            entry = {
                "model": model,
                "dataset": dataset,
                "discard": way,
                "n": mine["question_id"].nunique(),
                "flops_saved": 100 * saved,
            }
            entry |= {"kv_saved": 100 * (1 - mine["kv_bytes"].sum() / before["kv_bytes"].sum())}
            entry |= {"change": change, "ci_low": low, "ci_high": high, "non_inferior": non_inferior(low, margin)}
            timed = mine["prefill_ms"].notna().to_numpy()
            taken, clean = mine["prefill_ms"][timed].sum(), before["prefill_ms"][timed].sum()
            found.append({**entry, "prefill_saved": 100 * (1 - taken / clean) if timed.any() else np.nan})
    return pd.DataFrame(found)
