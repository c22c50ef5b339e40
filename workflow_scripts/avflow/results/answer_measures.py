"""Measures of answers: accuracy and what changes it, finished tables' cells, and what discarding tokens saves."""

import numpy as np
import pandas as pd

from ..errors import InputError
from . import conflict, where
from .route_measures import NOTHING, listed
from .statistics import paired_change, proportion
from .study_tables import Tables, of_group


def _share(tables: Tables, right, clusters):
    """A share in % with its interval and n."""
    mean, low, high = proportion(right, clusters, tables.draws, tables.seed)
    return 100 * mean, 100 * low, 100 * high, len(right)


def _change(tables: Tables, before: pd.DataFrame, after: pd.DataFrame):
    """Points won or lost by the questions of `after`."""
    if not len(after):
        return NOTHING
    after = after.set_index("question_id")
    before = before.set_index("question_id").reindex(after.index)
    if before["correct"].isna().any():
        return NOTHING
    answers = (before["correct"].astype(float), after["correct"].astype(float))
    return *paired_change(*answers, before["cluster"], tables.draws, tables.seed), len(after)


def _accuracy(tables, claim, model):
    rows = tables.answers(claim, model)
    if rows is None:
        return NOTHING
    rows = of_group(rows[rows["variant"] == claim.get("variant", "as_is")], claim)
    rows = rows[rows["correct"].notna()]
    return _share(tables, rows["correct"], rows["cluster"]) if len(rows) else NOTHING


def _accuracy_change(tables, claim, model):
    rows = tables.answers(claim, model)
    if rows is None:
        return NOTHING
    rows = of_group(rows, claim)
    return _change(tables, rows[rows["variant"] == "as_is"], rows[rows["variant"] == claim["variant"]])


def _same_content(tables, claim, model):
    rows = tables.answers(claim, model)
    if rows is None:
        return NOTHING
    rows = of_group(rows, claim)
    again = set(rows.loc[rows["variant"].str.startswith("shuffled"), "question_id"])
    orders = rows[rows["question_id"].isin(again) & (rows["variant"].eq("as_is") | rows["variant"].str.startswith("shuffled"))]
    if not len(orders):
        return NOTHING
    same = orders.groupby(["question_id", "cluster"])["content"].nunique().eq(1).astype(float).reset_index()
    return _share(tables, same["content"], same["cluster"])


def _letters(tables, claim, model):
    """How often the most frequent letter is answered."""
    rows = tables.answers(claim, model)
    if rows is None or not len(rows):
        return NOTHING
    rows = of_group(rows[(rows["variant"] == "as_is") & rows["answer"].notna()], claim)
    if not len(rows):
        return NOTHING
    return _share(tables, rows["answer"] == rows["answer"].mode()[0], rows["cluster"])


def _order_accuracy(tables, claim, model):
    rows = tables.parquet(f"knockout_{claim['analysis']}")
    if rows is None:
        return NOTHING
    rows = rows[(rows["model"] == model) & (rows["layout"] == claim["layout"]) & (rows["control"] == "null")]
    rows = of_group(rows, claim).drop_duplicates("question_id")
    return _share(tables, rows["correct_clean"], rows["cluster"]) if len(rows) else NOTHING


def _cell(tables, claim, model):
    """One cell of a finished table, or of several the one farthest from 0."""
    rows = tables.csv(claim["table"])
    if rows is None:
        return NOTHING
    where = {"model": model} if "model" in rows else {}  # Tables 2 and 3 have a column per model instead
    where, column = {**where, **claim.get("where", {})}, claim.get("column", "change").format(model=model)
    for name in (*where, column):
        if name not in rows:
            raise InputError(f"claim {claim['claim']!r}: {claim['table']}.csv has no column {name!r}, only {', '.join(rows)}")
    for name, value in where.items():
        rows = rows[rows[name].isin(listed(value))]
    rows = rows[rows[column].notna()]
    if not len(rows):
        return NOTHING
    row = rows.loc[rows[column].abs().idxmax()]
    low, high = (row["ci_low"], row["ci_high"]) if column == "change" else (np.nan, np.nan)
    return float(row[column]), low, high, int(row["n"])


def _masking(tables, claim, model):
    return _cell(tables, {**claim, "table": "tab1", "where": {"part": "late", "setting": claim["setting"]}}, model)


def _discards(tables, claim, model):
    """Rows of the table of the rule pruning for a claim's block, tasks and dataset: without a discard, and with the claim's."""
    rows = tables.parquet("pruning")
    if rows is None:
        return None, None
    setting = {"video": "av_video", "items": "items"}[claim["block"]]
    rows = of_group(rows[(rows["model"] == model) & (rows["setting"] == setting)], claim)
    for name, key in (("task", "tasks"), ("dataset", "dataset")):
        rows = rows[rows[name].isin(listed(claim[key]))] if key in claim else rows
    return rows[rows["discard"] == "none"], rows[rows["discard"] == claim["setting"]]


def _discarding(tables, claim, model):
    before, after = _discards(tables, claim, model)
    return NOTHING if before is None else _change(tables, before, after)


def _discarded_accuracy(tables, claim, model):
    before, after = _discards(tables, claim, model)
    return NOTHING if before is None or not len(after) else _share(tables, after["correct"], after["cluster"])


def _discarded(tables, claim, model):
    """% of a question's tokens that leave, as a mean over the questions."""
    before, after = _discards(tables, claim, model)
    if before is None or not len(after):
        return NOTHING
    share = after["n_discarded"] / after["n_tokens"]
    return 100 * float(share.mean()), np.nan, np.nan, after["question_id"].nunique()


def _saving(tables, claim, model):
    """Change in % of a cost's mean over the questions, against the same questions without a discard."""
    before, after = _discards(tables, claim, model)
    if before is None:
        return NOTHING
    column = claim["column"]
    both = (
        after[["question_id", column]].merge(before[["question_id", column]], on="question_id", suffixes=("_after", "")).dropna()
    )
    if not len(both):
        return NOTHING
    return float(100 * (both[f"{column}_after"].mean() / both[column].mean() - 1)), np.nan, np.nan, len(both)


def _sweep(tables, claim, model):
    """Accuracy when a kind of token is discarded after one layer."""
    rows = tables.parquet("discard_sweep")
    if rows is None:
        return NOTHING
    setting = {"video": "av_video", "items": "items"}[claim["block"]]
    rows = of_group(rows[(rows["model"] == model) & (rows["setting"] == setting)], claim)
    rows = rows[(rows["discard"] == claim["setting"]) & (rows["control"] == claim.get("control", "none"))]
    rows = rows[rows["layer"].between(*claim["layers"])]
    return _share(tables, rows["correct"], rows["cluster"]) if len(rows) else NOTHING


def _sufficiency(tables, claim, model):
    """% of answers kept if only some routes stay open; with column `share`, the % of edges that stay open."""
    rows = tables.parquet("sufficiency")
    if rows is None:
        return NOTHING
    rows = of_group(rows[(rows["model"] == model) & (rows["kind"] == claim["kind"])], claim)
    rows = rows[rows["threshold"] == claim["threshold"]] if "threshold" in claim else rows
    return _share(tables, rows[claim.get("column", "kept")], rows["cluster"]) if len(rows) else NOTHING


def _cumulative(tables, claim, model):
    """% of answers kept if a route is cut in layers 0 to `layer` (style bottom_up), or from `layer` to the last (top_down)."""
    rows = tables.parquet("knockout_cumulative")
    if rows is None:
        return NOTHING
    rows = rows[(rows["model"] == model) & rows["correct_clean"] & rows["applicable"] & rows["answer"].notna()]
    rows = of_group(rows, claim)
    base = rows[rows["control"] == "null"].drop_duplicates("question_id").set_index("question_id")["answer"]
    cut = rows[(rows["route"] == claim["route"]) & (rows["style"] == claim["style"]) & (rows["centre"] == claim["layer"])]
    if not len(cut):
        return NOTHING
    return _share(tables, cut["answer"].to_numpy() == base.reindex(cut["question_id"]).to_numpy(), cut["cluster"])


def _winner(tables, claim, model):
    """% of the known pairs in a conflict whose winner is `answer`; with `both`, of those in which each sense alone tells one."""
    if tables.path("conflict") is None:
        return NOTHING
    rows = tables.once(("conflict", model), lambda: conflict.pairs(tables.path("conflict"), [model]))
    rows = of_group(rows[(rows["dataset"] == tables.dataset(claim)) & rows["known"].astype(bool)], claim)
    rows = rows[rows["both"]] if claim.get("both") else rows
    return _share(tables, rows["winner"] == claim["answer"], rows["cluster"]) if len(rows) else NOTHING


def _known(tables, claim, model):
    """% of the pairs in a conflict that the model knows: it answers rightly about either clip alone."""
    if tables.path("conflict") is None:
        return NOTHING
    rows = tables.once(("conflict", model), lambda: conflict.pairs(tables.path("conflict"), [model]))
    rows = of_group(rows[rows["dataset"] == tables.dataset(claim)], claim)
    return _share(tables, rows["known"].astype(float), rows["cluster"]) if len(rows) else NOTHING


def _parts(tables, claim, model):
    """A model's cuts of a claim's `source` from its `target` (default question), in all layers; None without the table."""
    path = tables.path("where")
    if path is None:
        return None
    rows = tables.once(("where", model), lambda: where.cuts(path, [model], where.WHOLE))
    wanted = dict(dataset=tables.dataset(claim), source=claim["source"], target=claim.get("target", "question"))
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return of_group(rows, claim)


def _found_at(tables, claim, model):
    """% of the questions in which the slice of a source that alone keeps most lies in the known event of its sense."""
    rows = _parts(tables, claim, model)
    found = None if rows is None else where.found_events(rows)
    return NOTHING if found is None or not len(found) else _share(tables, found["hit"], found["cluster"])


def _around_event(tables, claim, model):
    """The mean % change if the target sees one part alone; with `seconds`, one whose middle is so far from the event's."""
    rows = _parts(tables, claim, model)
    if rows is None:
        return NOTHING
    rows = rows[rows["alone"].astype(bool) == claim.get("alone", True)]
    if "seconds" in claim:
        rows = rows[where.away(rows).between(*claim["seconds"])]
    if not len(rows):
        return NOTHING
    each = rows.groupby(["question_id", "cluster"])["change"].mean().reset_index()
    return *(float(x) for x in tables.interval(each["change"].to_numpy(), each["cluster"])), len(each)


MEASURES = {
    "accuracy": _accuracy,
    "accuracy_change": _accuracy_change,
    "same_content": _same_content,
    "letters": _letters,
    "order_accuracy": _order_accuracy,
    "cell": _cell,
    "masking": _masking,
    "discarding": _discarding,
    "discarded_accuracy": _discarded_accuracy,
    "discarded": _discarded,
    "saving": _saving,
    "sweep": _sweep,
    "sufficiency": _sufficiency,
    "cumulative": _cumulative,
    "winner": _winner,
    "known": _known,
    "found_at": _found_at,
    "around_event": _around_event,
}
