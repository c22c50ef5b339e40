"""Measures of the instrument itself: does it find nothing where nothing is, agree with behaviour, and are its tables whole?"""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from . import effects, free_answers, reliance, specimen
from .route_measures import FOUND, NOTHING, curve_rows, listed
from .study_tables import Tables, of_group

SAME_MARGIN = 1e-3  # logits: margins of one question differ by less between runs in float32; shipped ones are rounded to 4e-4
UNCHANGED = 1e-6  # logits: half the spacing of float32 at a margin of 8
PAIRED = ("resample", "conflict")  # analyses of pairs of clips, whose tables have these names
EFFECT = 0.1  # logits: cuts that move the margin less say nothing of how they cut


def _rank_correlation(tables, claim, model):
    """Over tasks and senses, the mean fall when the sense's route is cut against the accuracy lost without the sense."""
    if not (tables.path("reliance") and tables.path("evaluate")):
        return NOTHING
    falls, losses, count = [], [], 0
    lost = tables.once(
        "lost", lambda: reliance.reliance(tables.path("reliance"), tables.path("evaluate"), 100, tables.seed, by="group")
    )
    lost = lost[lost["model"] == model].drop_duplicates("group").set_index("group")
    parts = [("figure_4", tables.dataset({}))]
    graded = tables.parquet("knockout_graded")
    parts += [] if graded is None else [("graded", name) for name in graded["dataset"].unique()]
    found = [tables.cuts({"analysis": analysis, "data": data}, model) for analysis, data in parts]
    found = [rows for rows in found if rows is not None]
    if not found:
        return NOTHING
    rows = pd.concat(found)
    for group in claim["tasks"]:
        for route, variant in reliance.SENSES.items():
            here = rows[(rows["group"] == group) & (rows["route"] == route)]
            if len(here) and group in lost.index:
                falls.append(-here["change"].mean())
                losses.append(lost.loc[group, "as_is"] - lost.loc[group, variant])
                count += here["question_id"].nunique()
    if len(falls) < 4:
        return NOTHING
    rng, pairs = np.random.default_rng(tables.seed), np.array([falls, losses])
    drawn = [pairs[:, rng.integers(0, len(falls), len(falls))] for _ in range(min(500, tables.draws))]
    varied = [spearmanr(*some).statistic for some in drawn if (np.ptp(some, axis=1) > 0).all()]
    low, high = np.percentile(varied, [2.5, 97.5]) if varied else (np.nan, np.nan)
    return spearmanr(falls, losses).statistic, low, high, count


def _false_positives(tables, claim, model):
    """Over the centres of all routes that cannot matter, the % at which the route seems to matter."""
    rows = tables.knockouts(claim, model)
    if rows is None:
        return NOTHING
    if "control" in claim:
        rows = rows[(rows["control"] == claim["control"]) & rows["route"].isin(claim["routes"])]
        curves = [here for _, here in rows.groupby(["group", "route", "draw"])]
    else:
        rows = rows[rows["control"] == "none"]
        pairs = [(group, route) for group, routes in claim["cannot"].items() for route in routes]
        curves = [rows[(rows["group"] == group) & (rows["route"] == route)] for group, route in pairs]
    curves = [effects.pointwise(here, tables.draws, tables.seed) for here in curves if len(here)]
    if not curves:
        return NOTHING
    found = np.concatenate([(np.abs(c.mean) > FOUND) & ((c.low > 0) | (c.high < 0)) for c in curves])
    # Wilson's interval of a share. Neighbouring centres are not independent, so it is rather too narrow than too wide.
    z, n, share = 1.96, len(found), found.mean()
    middle, half = (
        (share + z * z / (2 * n)) / (1 + z * z / n),
        z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n),
    )
    return 100 * share, 100 * (middle - half), 100 * (middle + half), max(c.n for c in curves)


def _scrambled(tables, claim, model, times: int = 200):
    """% of random relabellings under which the two groups differ, at the centre where they really differ most."""
    rows = tables.cuts(claim, model)
    if rows is None:
        return NOTHING
    rows = rows[(rows["route"] == claim["route"]) & rows["group"].isin(claim["groups"])]
    if rows["group"].nunique() < 2:
        return NOTHING
    wide = rows.pivot(index=["question_id", "group"], columns="centre", values="change").dropna(axis=1)
    labels = wide.index.get_level_values("group") == claim["groups"][0]
    values = wide.to_numpy()
    values = values[:, np.abs(values[labels].mean(0) - values[~labels].mean(0)).argmax()]
    rng, found = np.random.default_rng(tables.seed), 0
    for _ in range(times):
        drawn = rng.permutation(labels)
        one, other = values[drawn], values[~drawn]
        error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
        found += bool(abs(one.mean() - other.mean()) > 1.96 * error)
    return 100 * found / times, np.nan, np.nan, len(values)


def _raw(tables: Tables, claim, model):
    """All rows of a claim's analysis, as stored; None without the table. Patches and conflicts have tables of their own."""
    name = claim["analysis"]
    rows = tables.parquet(name if name in PAIRED else f"knockout_{name}")
    return None if rows is None else rows[(rows["model"] == model) & (rows["dataset"] == tables.dataset(claim))]


def _complete(tables, claim, model):
    """% of (question, route, centre) that were cut exactly once, of the questions and routes that were cut at all."""
    rows = _raw(tables, claim, model)
    if rows is None or not len(rows):
        return NOTHING
    rows = rows[(rows["control"] == "none") & rows["applicable"] & (rows["cut"] == claim.get("cut", "mask"))]
    key = ["question_id", "layout", "route", "style", "width", *(["direction"] if "direction" in rows else [])]
    cut = rows.groupby(key)["centre"].agg(["size", "nunique"])
    once = (2 * cut["nunique"] - cut["size"]).clip(lower=0).sum()
    found = rows["question_id"].nunique()
    return 100 * float(once) / (len(cut) * tables.layers(model)) if len(cut) else np.nan, np.nan, np.nan, found


def _windows_fit(tables, claim, model):
    """% of cuts whose window is its centre's, of the width that the study states, clipped at the first and last layer."""
    rows = _raw(tables, claim, model)
    if rows is None or not len(rows):
        return NOTHING
    rows = rows[(rows["control"] != "null") & (rows["style"] == "centred")]
    k, last = tables.models[model], tables.layers(model)
    start, stop = (rows["centre"] - k // 2).clip(lower=0), (rows["centre"] + k - k // 2).clip(upper=last)
    fits = (rows["window_start"] == start) & (rows["window_stop"] == stop) & (rows["width"] == k)
    return 100 * float(fits.mean()), np.nan, np.nan, rows["question_id"].nunique()


def _questions(tables, claim, model):
    """The smallest number of questions in which any of the claim's routes was cut, over its groups."""
    routes, groups = listed(claim["route"]), listed(claim.get("group", "all"))
    rows = [curve_rows(tables, {**claim, "group": group}, model, routes) for group in groups]
    if any(some is None for some in rows):
        return NOTHING
    least = min(int(some.groupby("route")["question_id"].nunique().min()) for some in rows)
    return float(least), np.nan, np.nan, max(some["question_id"].nunique() for some in rows)


def _null_rows(tables, claim, model):
    """% of the questions that were cut which also have a row without a cut, against which cuts are read."""
    rows = _raw(tables, claim, model)
    if rows is None or not len(rows):
        return NOTHING
    asked, null = (set(rows.loc[rows["control"] == kind, "question_id"]) for kind in ("none", "null"))
    return 100 * len(asked & null) / len(asked) if asked else np.nan, np.nan, np.nan, len(asked)


def _applicable(tables, claim, model):
    """% of the cuts of the claim's routes that have anything to cut."""
    rows = _raw(tables, claim, model)
    if rows is None:
        return NOTHING
    rows = rows[(rows["control"] == "none") & rows["route"].isin(listed(claim["route"]))]
    if not len(rows):
        return NOTHING
    return 100 * float(rows["applicable"].mean()), np.nan, np.nan, rows["question_id"].nunique()


def _unchanged(tables, claim, model):
    """% of cuts after which the margin, or a reply's log-probability, is exactly the null row's, as if nothing had been cut.

    Of the route and the group of tasks that have most of them.
    """
    rows = _raw(tables, claim, model)
    if rows is None:
        return NOTHING
    rows = rows[(rows["control"] == "none") & rows["applicable"] & rows["centre"].between(*claim["layers"])]
    rows = rows[rows["cut"] == claim["cut"]] if "cut" in claim else rows
    rows = of_group(rows, claim)
    rows = rows[rows["route"].isin(listed(claim["route"]))] if "route" in claim else rows
    if not len(rows):
        return NOTHING
    rows = rows.assign(moved=(free_answers.size(rows) - free_answers.size(rows, "_clean")).abs())
    places = ["route", "group", *(["direction"] if "direction" in rows else [])]
    same = rows.groupby(places)["moved"].apply(lambda one: one.lt(UNCHANGED).mean())
    return 100 * float(same.max()), np.nan, np.nan, rows["question_id"].nunique()


def _moved(tables, claim, model):
    """Rows of a claim's analysis with `moved`, how much a cut changed the margin in logits; control: `none` or `random_other`."""
    rows = _raw(tables, claim, model)
    if rows is None:
        return None
    rows = rows[(rows["control"] == claim.get("control", "none")) & rows["applicable"]]
    rows = rows[rows["cut"] == claim.get("cut", "mask")]
    rows = rows[rows["layout"] == claim["layout"]] if "layout" in claim else rows
    rows = of_group(rows, claim)
    return rows.assign(moved=(free_answers.size(rows) - free_answers.size(rows, "_clean")).astype(float).abs())


def _moves(tables, claim, model):
    """Mean change of the margin in logits, either way, as the geometric mean over routes, so that each counts alike."""
    rows = _moved(tables, claim, model)
    if rows is None or not len(rows) or rows["moved"].isna().any():
        return NOTHING
    size = rows.groupby("route")["moved"].mean().to_numpy()
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(size).mean())), np.nan, np.nan, rows["question_id"].nunique()


def _moves_at(tables, claim, model):
    """The mean centre of the margins' changes, weighted by them, as the mean over routes."""
    rows = _moved(tables, claim, model)
    if rows is None or not len(rows) or rows["moved"].isna().any():
        return NOTHING
    whole = rows.assign(at=rows["moved"] * rows["centre"]).groupby("route")[["at", "moved"]].sum()
    return float((whole["at"] / whole["moved"]).mean()), np.nan, np.nan, rows["question_id"].nunique()


def _controlled(tables, claim, model):
    """Number of draws of a size-matched control that are there in every layer, summed over questions and routes."""
    rows = _moved(tables, {**claim, "control": "random_other"}, model)
    if rows is None:
        return NOTHING
    layers = rows.groupby(["question_id", "route", "draw"])["centre"].nunique()
    return float((layers == tables.layers(model)).sum()), np.nan, np.nan, len(layers) or tables.layers(model)


def _clips(tables, claim, model):
    """Number of different clips, or items, behind the questions of a table in the claim's groups."""
    rows = tables.parquet(claim["table"])
    if rows is None:
        return NOTHING
    rows = of_group(rows[(rows["model"] == model) & (rows["dataset"] == tables.dataset(claim))], claim)
    return float(rows["cluster"].nunique()), np.nan, np.nan, rows["question_id"].nunique()


def _noise(tables, claim, model):
    """The largest difference in % between the answer's probability in a cut's null row and in the question's clean forward."""
    rows = tables.knockouts(claim, model)
    if rows is None or not len(rows):
        return NOTHING
    return float(rows["noise"].abs().max(skipna=False)), np.nan, np.nan, rows["question_id"].nunique()


def _same_run(tables, claim, model):
    """% of the questions whose margin, or reply's log-probability, without a cut is the evaluation's: the same run."""
    rows, told = _raw(tables, claim, model), tables.parquet("evaluate")
    if rows is None or told is None or not len(rows):
        return NOTHING
    told = told[told["model"] == model].set_index("question_id")
    told = free_answers.size(told)
    rows = rows[rows["control"] == "none"].drop_duplicates("question_id")
    off = (free_answers.size(rows, "_clean").to_numpy() - told.reindex(rows["question_id"]).to_numpy()).astype(float)
    return 100 * float((np.abs(off) <= SAME_MARGIN).mean()), np.nan, np.nan, len(rows)


def _same_cut(tables, claim, model):
    """% of cuts with an effect that leave exactly the margin which the same cut of another analysis leaves (key `other`)."""
    asked = [{"analysis": "figure_4", "cut": "mask", **part} for part in (claim, {**claim, "cut": "mask", **claim["other"]})]
    found = [_raw(tables, part, model) for part in asked]
    if any(rows is None for rows in found):
        return NOTHING
    key = ["question_id", "route", "width", "centre"]
    one, two = (
        of_group(rows[(rows["control"] == "none") & (rows["style"] == "centred") & (rows["cut"] == part["cut"])], claim)
        for rows, part in zip(found, asked)
    )
    one = one[one["layout"] == claim["layout"]] if "layout" in claim else one
    both = one[[*key, "margin", "margin_clean"]].merge(two[[*key, "margin"]], on=key, suffixes=("", "_other"))
    both = both[(both["margin"] - both["margin_clean"]).abs() > EFFECT]
    if not len(both):
        return NOTHING
    same = (both["margin"] - both["margin_other"]).abs() <= SAME_MARGIN
    return 100 * float(same.mean()), np.nan, np.nan, both["question_id"].nunique()


def _specimen(tables, claim, model):
    """How many records of a table's cells are not as in the specimen of the miniature (specimen.py); NOTHING for other models."""
    told = tables.once(claim["specimen"], lambda: pd.read_parquet(claim["specimen"]))
    told = told[(told["table"] == claim["table"]) & (told["model"] == model)]
    if not len(told):
        return NOTHING
    told = told.astype({name: str for name in ("cell", "column", "dataset", "model")})

    def here():
        rows = tables.parquet(claim["table"])
        rows = tables.csv(claim["table"]) if rows is None else rows
        return None if rows is None else specimen.cells(rows, told["column"].unique())

    found = tables.once(("cells", claim["table"]), here)
    if found is None:
        return NOTHING
    return float(len(specimen.off(found, told))), np.nan, np.nan, int(told.loc[told["column"] != "rows", "rows"].sum())


MEASURES = {
    "rank_correlation": _rank_correlation,
    "false_positives": _false_positives,
    "scrambled": _scrambled,
    "complete": _complete,
    "windows_fit": _windows_fit,
    "questions": _questions,
    "null_rows": _null_rows,
    "clips": _clips,
    "controlled": _controlled,
    "moves": _moves,
    "moves_at": _moves_at,
    "applicable": _applicable,
    "unchanged": _unchanged,
    "noise": _noise,
    "same_run": _same_run,
    "same_cut": _same_cut,
    "specimen": _specimen,
}
