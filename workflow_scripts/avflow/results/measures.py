"""The numbers behind claims, each with its interval and its number of questions.

A claim chooses the study's dataset by `data` (video, the default, or items), an `analysis` (default figure_4), a `cut` (mask, the
default, or value_zero), and a `group` of tasks (default "all"):

    lowest, highest, largest    of a route's curve of mean changes in %: the lowest, the highest, or the one farthest from 0
    mean                        mean of a route's changes in % over `centres`
    centre_of_lowest            the layer at which that curve is lowest
    order                       layers from the lowest point of `route` to the lowest point of `then`
    accuracy                    in %, as is or in a `variant` without a sense
    accuracy_change             in points, of a variant against the same questions as they are
    same_content                % of questions with the same answered content in every order of the options
    rank_correlation            Spearman's, between the mean fall under cuts of a sense's route and the accuracy lost without it
    false_positives             % of centres at which a route that cannot matter seems to matter: its 95 % interval excludes 0 and
                                its mean change exceeds 1 %. With `control`: the same for size-matched random controls
    scrambled                   % of random relabellings of two groups' questions under which the groups differ (95 %)
    masking, discarding         change of accuracy in points, from Table 1, or over all questions of Table 4

`centres` are layers of a model with 36 layers and are scaled to other depths. Every measure takes (tables, claim, model) and
returns value, low, high and n. n is 0 if there is nothing to measure.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from . import effects, reliance
from .statistics import cluster_bootstrap, paired_change

DEPTH = 36  # claims give centres as layers of a model of this depth
FOUND = 1.0  # percent: a larger mean change counts as an effect
NOTHING = (np.nan, np.nan, np.nan, 0)


class Tables:
    """The study's tables, each read when a claim first asks for it. An absent table is None."""

    def __init__(self, folder, models: dict, datasets: dict, draws: int, seed: int):
        """models: name -> width of the window; datasets: video, items -> name."""
        self.folder, self.models, self.datasets = Path(folder), models, datasets
        self.draws, self.seed, self.kept = draws, seed, {}

    def layers(self, model: str) -> int:
        """The number of a model's layers, from the windows that were cut in it."""
        if "layers" not in self.kept:
            stops = [pd.read_parquet(p, columns=["model", "window_stop"]) for p in self.folder.glob("knockout_figure_*.parquet")]
            self.kept["layers"] = pd.concat(stops).groupby("model")["window_stop"].max()
        return int(self.kept["layers"][model])

    def csv(self, name: str):
        path = self.folder / f"{name}.csv"
        return pd.read_csv(path) if path.is_file() else None

    def path(self, name: str):
        path = self.folder / f"{name}.parquet"
        return path if path.is_file() else None

    def changes(self, claim: dict) -> pd.DataFrame | None:
        """Rows of `effects.relative_change` for a claim's analysis, data and cut; None without the table."""
        analysis, data, cut = claim.get("analysis", "figure_4"), claim.get("data", "video"), claim.get("cut", "mask")
        path, key = self.path(f"knockout_{analysis}"), (analysis, data, cut)
        if path and key not in self.kept:
            self.kept[key] = effects.relative_change(path, self.models, self.datasets[data], cut)
        return self.kept.get(key)

    def answers(self, data: str) -> pd.DataFrame | None:
        """Answers to all questions as they are (variant "as_is"), and to those that were asked again, in every other variant."""
        if not (self.path("reliance") and self.path("evaluate")):
            return None
        if "answers" not in self.kept:
            as_is = pd.read_parquet(self.path("evaluate")).assign(variant="as_is")
            self.kept["answers"] = pd.concat([as_is, pd.read_parquet(self.path("reliance"))])
        rows = self.kept["answers"]
        return rows[rows["dataset"] == self.datasets[data]]

    def interval(self, values: pd.DataFrame, clusters):
        return cluster_bootstrap(values, clusters, self.draws, self.seed)


def _of_group(rows, claim):
    group = claim.get("group", "all")
    return rows if group == "all" else rows[rows["group"] == group]


def _curve(tables: Tables, claim: dict, model: str, route: str):
    """The curve of a route within the claim's centres; None if it has no rows there."""
    rows = tables.changes(claim)
    if rows is None:
        return None
    rows = _of_group(rows[(rows["model"] == model) & (rows["route"] == route)], claim)
    if not len(rows):
        return None
    curve = effects.pointwise(rows, tables.draws, tables.seed)
    first, last = (c * (tables.layers(model) - 1) / (DEPTH - 1) for c in claim.get("centres", (0, DEPTH - 1)))
    inside = (curve.centres >= first - 0.5) & (curve.centres <= last + 0.5)
    parts = (part[inside] for part in (curve.centres, curve.mean, curve.low, curve.high))
    return effects.Curve(*parts, curve.n) if inside.any() else None


def _extreme(which):
    def measure(tables, claim, model):
        found = _curve(tables, claim, model, claim["route"])
        if found is None:
            return NOTHING
        at = which(found.mean)
        return found.mean[at], found.low[at], found.high[at], found.n

    return measure


def _mean(tables, claim, model):
    rows = tables.changes(claim)
    found = _curve(tables, claim, model, claim["route"])
    if found is None:
        return NOTHING
    rows = _of_group(rows[(rows["model"] == model) & (rows["route"] == claim["route"])], claim)
    rows = rows[rows["centre"].isin(found.centres)].groupby(["question_id", "cluster"])["change"].mean().reset_index()
    mean, low, high = tables.interval(rows[["change"]], rows["cluster"])
    return mean[0], low[0], high[0], len(rows)


def _centre(tables, claim, model):
    found = _curve(tables, claim, model, claim["route"])
    if found is None:
        return NOTHING
    return found.centres[found.mean.argmin()] * (DEPTH - 1) / (tables.layers(model) - 1), np.nan, np.nan, found.n


def _order(tables, claim, model):
    first, then = (_curve(tables, claim, model, claim[key]) for key in ("route", "then"))
    if first is None or then is None:
        return NOTHING
    later = then.centres[then.mean.argmin()] - first.centres[first.mean.argmin()]
    return float(later), np.nan, np.nan, min(first.n, then.n)


def _accuracy(tables, claim, model):
    rows = tables.answers(claim.get("data", "video"))
    if rows is None:
        return NOTHING
    rows = _of_group(rows[(rows["model"] == model) & (rows["variant"] == claim.get("variant", "as_is"))], claim)
    if not len(rows):
        return NOTHING
    mean, low, high = tables.interval(rows[["correct"]].astype(float), rows["cluster"])
    return 100 * mean[0], 100 * low[0], 100 * high[0], len(rows)


def _accuracy_change(tables, claim, model):
    rows = tables.answers(claim.get("data", "video"))
    if rows is None:
        return NOTHING
    rows = _of_group(rows[rows["model"] == model], claim)
    after = rows[rows["variant"] == claim["variant"]].set_index("question_id")
    if not len(after):
        return NOTHING
    before = rows[rows["variant"] == "as_is"].set_index("question_id").loc[after.index]
    return *paired_change(before["correct"], after["correct"], before["cluster"], tables.draws, tables.seed), len(after)


def _same_content(tables, claim, model):
    rows = tables.answers(claim.get("data", "video"))
    if rows is None:
        return NOTHING
    rows = _of_group(rows[rows["model"] == model], claim)
    again = set(rows.loc[rows["variant"].str.startswith("shuffled"), "question_id"])
    orders = rows[rows["question_id"].isin(again) & (rows["variant"].eq("as_is") | rows["variant"].str.startswith("shuffled"))]
    if not len(orders):
        return NOTHING
    same = orders.groupby(["question_id", "cluster"])["content"].nunique().eq(1).astype(float).reset_index()
    mean, low, high = tables.interval(same[["content"]], same["cluster"])
    return 100 * mean[0], 100 * low[0], 100 * high[0], len(same)


def _rank_correlation(tables, claim, model):
    """Over tasks and senses, the mean fall when the sense's route is cut against the accuracy lost without the sense."""
    if not (tables.path("reliance") and tables.path("evaluate")):
        return NOTHING
    falls, losses, count = [], [], 0
    lost = reliance.reliance(tables.path("reliance"), tables.path("evaluate"), 100, tables.seed, by="group")
    lost = lost[lost["model"] == model].drop_duplicates("group").set_index("group")
    graded = [tables.path("knockout_figure_4"), tables.path("knockout_graded")]
    rows = pd.concat([effects.relative_change(path, tables.models, name) for path in graded if path for name in _names(path)])
    rows = rows[rows["model"] == model]
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
    drawn = [pairs[:, rng.integers(0, len(falls), len(falls))] for _ in range(500)]
    varied = [spearmanr(*some).statistic for some in drawn if (np.ptp(some, axis=1) > 0).all()]
    low, high = np.percentile(varied, [2.5, 97.5])
    return spearmanr(falls, losses).statistic, low, high, count


def _names(path) -> list[str]:
    return list(pd.read_parquet(path, columns=["dataset"])["dataset"].unique())


def _false_positives(tables, claim, model):
    """Over the centres of all routes that cannot matter, the % at which the route seems to matter."""
    curves, count = [], 0
    if "control" in claim:
        path = tables.path(f"knockout_{claim['analysis']}")
        if path is None:
            return NOTHING
        rows = effects.changes(path, tables.models, tables.datasets[claim.get("data", "video")])
        rows = rows[(rows["model"] == model) & (rows["control"] == claim["control"]) & rows["route"].isin(claim["routes"])]
        for _, here in rows.groupby(["group", "route", "draw"]):
            curves.append(effects.pointwise(here, tables.draws, tables.seed))
    else:
        rows = tables.changes(claim)
        if rows is None:
            return NOTHING
        for group, routes in claim["cannot"].items():
            for route in routes:
                here = rows[(rows["model"] == model) & (rows["group"] == group) & (rows["route"] == route)]
                if len(here):
                    curves.append(effects.pointwise(here, tables.draws, tables.seed))
    if not curves:
        return NOTHING
    found = np.concatenate([(np.abs(c.mean) > FOUND) & ((c.low > 0) | (c.high < 0)) for c in curves])
    count = max(c.n for c in curves)
    # Wilson's interval of a share. Neighbouring centres are not independent, so it is rather too narrow than too wide.
    z, n, share = 1.96, len(found), found.mean()
    middle, half = (
        (share + z * z / (2 * n)) / (1 + z * z / n),
        z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n),
    )
    return 100 * share, 100 * (middle - half), 100 * (middle + half), count


def _scrambled(tables, claim, model, times: int = 200):
    """% of random relabellings under which the two groups differ, at the centre where they really differ most."""
    rows = tables.changes(claim)
    if rows is None:
        return NOTHING
    rows = rows[(rows["model"] == model) & (rows["route"] == claim["route"]) & rows["group"].isin(claim["groups"])]
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


def _masking(tables, claim, model):
    rows = tables.csv("tab1")
    rows = None if rows is None else rows[(rows["model"] == model) & (rows["setting"] == claim["setting"])]
    if rows is None or not len(rows):
        return NOTHING
    row = rows.iloc[0]
    return row["change"], row["ci_low"], row["ci_high"], int(row["n"])


def _discarding(tables, claim, model):
    path = tables.path("pruning")
    if path is None:
        return NOTHING
    rows = pd.read_parquet(path)
    setting = {"video": "av_video", "items": "items"}[claim["block"]]
    rows = rows[(rows["model"] == model) & (rows["setting"] == setting)]
    after = rows[rows["discard"] == claim["setting"]].set_index("question_id")
    if not len(after):
        return NOTHING
    before = rows[rows["discard"] == "none"].set_index("question_id").loc[after.index]
    return *paired_change(before["correct"], after["correct"], before["cluster"], tables.draws, tables.seed), len(after)


MEASURES = {
    "lowest": _extreme(np.argmin),
    "highest": _extreme(np.argmax),
    "largest": _extreme(lambda mean: np.abs(mean).argmax()),
    "mean": _mean,
    "centre_of_lowest": _centre,
    "order": _order,
    "accuracy": _accuracy,
    "accuracy_change": _accuracy_change,
    "same_content": _same_content,
    "rank_correlation": _rank_correlation,
    "false_positives": _false_positives,
    "scrambled": _scrambled,
    "masking": _masking,
    "discarding": _discarding,
}
