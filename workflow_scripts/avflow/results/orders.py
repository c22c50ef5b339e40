"""Orders of a prompt's parts: effects and accuracy in other orders (Appendix D.3.1), and by the order of a template."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..questions import Question, layouts, template_order
from . import free_answers
from .effects import Effects, Reading, noise_of, pointwise
from .statistics import proportion


def rows_by_order(path, models: dict, dataset: str) -> pd.DataFrame:
    """Real cuts and null rows of questions that were asked in several orders. `change` is the % change of `effects.changes`.

    models: name -> width of the window. An empty path gives no rows. asked: number of questions of the row's model and group in
    any order; where an order has fewer, the sentences of the others have no sense there (see `questions.wording`).
    """
    columns = "model question_id cluster dataset group layout route style width centre control"
    columns += " logp_base p_base_clean correct_clean applicable"
    if not path:
        return pd.DataFrame(columns=[*columns.split(), "asked", "change", "noise"])
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("cut", "=", "mask"), ("control", "in", ("none", "null"))]
    rows = pq.read_table(path, columns=free_answers.columns_of(path, columns.split()), filters=keep).to_pandas()
    for name, own in layouts.PREPARED.items():  # some questions were prepared in an order to which others were brought
        rows["layout"] = rows["layout"].replace(name, own) if (rows["layout"] == own).any() else rows["layout"]
    rows["asked"] = rows.groupby(["model", "group"])["question_id"].transform("nunique")
    several = rows.groupby(["model", "question_id"])["layout"].transform("nunique") > 1
    real = (rows["style"] == "centred") & (rows["width"] == rows["model"].map(models)) & rows["applicable"].astype(bool)
    rows = rows[several & (real | (rows["control"] == "null"))]
    return rows.assign(change=free_answers.change(rows), noise=noise_of(rows, rows[rows["control"] == "null"]))


def orders_of(rows: pd.DataFrame) -> list[str]:
    """The orders that occur, the default order first."""
    found = list(pd.unique(rows["layout"]))
    return sorted(found, key=lambda name: (name in layouts.NAMES, layouts.NAMES.index(name) if name in layouts.NAMES else 0))


def summary(rows: pd.DataFrame, routes, draws: int, seed: int) -> pd.DataFrame:
    """By model, order and group: n, accuracy with its interval, and every route's lowest mean change with centre and interval.

    n_asked: number of questions asked in any order. n_cut: number of those asked in this one in which the route was cut; in the
    others no token of its target stands behind one of its source.
    """
    found = []
    for (model, order), mine in rows.groupby(["model", "layout"], sort=False):
        for group, some in [("all", mine), *mine.groupby("group")]:
            asked = some[some["control"] == "null"].drop_duplicates("question_id")
            right, low, high = proportion(asked["correct_clean"], asked["cluster"], draws, seed)
            entry = dict(model=model, dataset=rows["dataset"].iloc[0], layout=order, group=group)
            entry.update(n=len(asked), n_asked=int(some.drop_duplicates("group")["asked"].sum()), accuracy=right)
            entry.update(accuracy_low=low, accuracy_high=high)
            for route in routes:
                cuts = some[(some["route"] == route) & (some["control"] == "none")]
                if len(cuts):
                    curve = pointwise(cuts, draws, seed)
                    i = int(np.argmin(curve.mean))
                    effect = dict(centre=curve.centres[i], change=curve.mean[i], ci_low=curve.low[i], ci_high=curve.high[i])
                    effect["n_cut"] = curve.n
                else:
                    effect = dict(centre=None, change=None, ci_low=None, ci_high=None, n_cut=0)  # queries come before keys
                found.append({**entry, "route": route, **effect})
    columns = ["model", "dataset", "layout", "group", "n", "n_asked", "accuracy", "accuracy_low", "accuracy_high", "route"]
    return pd.DataFrame(found, columns=[*columns, "centre", "change", "ci_low", "ci_high", "n_cut"])


def of_order(rows: pd.DataFrame, order: str, routes, reading: Reading) -> Effects:
    """The effects in one order. rows: from `rows_by_order`."""
    rows = rows[rows["layout"] == order]
    asked, cuts = set(rows.loc[rows["control"] == "null", "question_id"]), rows[rows["control"] == "none"]
    missing = [(i, r) for r in routes for i in sorted(asked - set(cuts.loc[cuts["route"] == r, "question_id"]))]
    impossible = pd.DataFrame(missing, columns=["question_id", "route"])
    return Effects(reading, cuts, cuts[:0], cuts[:0], impossible=impossible)


def by_template(effects: Effects, questions: list[Question]) -> dict[str, Effects]:
    """Label -> effects: of all questions and, if they are only some of them, of those whose parts stand in the order of Eq. 3.

    One entry without a label if all or none are in that order. Of the questions whose effects are shown, `questions` may lack
    those that were prepared in the order of Eq. 3 (tables that are shipped have few questions beside them).
    """
    out = {q.question_id for q in questions if not template_order.in_eq3_order(q)}
    known = {q.question_id for q in questions}
    tables = [table[["question_id", "layout"]] for table in (effects.rows, effects.impossible)]
    shown = pd.concat(tables).drop_duplicates()
    prepared = shown["layout"] == layouts.PREPARED["eq3"]
    in_order = set(
        shown.loc[shown["question_id"].isin(known - out) | prepared & ~shown["question_id"].isin(known), "question_id"]
    )
    if in_order >= set(shown["question_id"]) or not in_order:
        return {"": effects}
    return {"all orders": effects, "in Eq. 3's order": effects.among(in_order)}
