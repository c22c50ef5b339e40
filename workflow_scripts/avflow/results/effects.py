"""What cuts do to answers, as figures draw it: the change by question, route and layer, beside its controls and its noise.

Two metrics of a cut, each on the questions that it can speak of:

    probability         % change of the probability of the answer that the model gives uncut (section 2.1), on questions that it
                        answers correctly
    logit_difference    change of the right letter's logit minus the best other letter's, on all questions: it neither saturates
                        nor leaves out what is answered wrongly (Zhang and Nanda, arXiv 2309.16042)

Both are against the null row of the same batch. Beside them stand as many random keys in the place of the route's, and the noise:
what the null rows themselves differ from one clean forward, which is what a change must exceed to be one.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..errors import InputError
from ..questions import layouts
from . import published
from .statistics import cluster_bootstrap, simultaneous_band

METRICS = {"probability": "% Change in Probability", "logit_difference": "Change in Logit Difference"}
KEY = ["model", "question_id", "layout"]
COLUMNS = [*KEY, "cluster", "task", "group", "needs", "route", "width", "centre", "control", "draw", "change", "noise"]
NUMBERS = ["logp_base", "p_base_clean", "margin", "margin_clean"]


def changes(path, models: dict, dataset: str, metric: str = "probability", style="centred", answered="right", cut="mask"):
    """Rows of applicable cuts of a dataset's questions, real ones and random controls: a DataFrame with COLUMNS.

    models: name -> width of the window, None for all. answered: "right" and "all" take the default layout; "wrong" takes those
    that are answered wrongly, in every layout. cut: "mask" or "value_zero". `change` is in the metric's unit; `noise`, in the
    same, is what the null row of the cut's batch differs from the question's clean forward. Empty where path is empty. Raises
    InputError for another metric.
    """
    if metric not in METRICS:
        raise InputError(f"figures/metric is {metric!r}; it must be {' or '.join(METRICS)}")
    if not path:
        return pd.DataFrame(columns=COLUMNS)
    wanted = [c for c in COLUMNS if c not in ("change", "noise")] + NUMBERS
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("applicable", "=", True)]
    keep += [] if answered == "all" else [("correct_clean", "=", answered == "right")]
    keep += [] if answered == "wrong" else [("layout", "not in", layouts.NAMES)]
    null = [*keep, ("control", "=", "null")]
    real = [*keep, ("control", "!=", "null"), ("style", "=", style), ("cut", "=", cut)]
    rows, null = (pq.read_table(path, columns=wanted, filters=f).to_pandas() for f in (real, null))
    width = rows["model"].map(models)
    rows = rows[width.isna() | (width == rows["width"])]
    if metric == "probability":
        change, noise = 100 * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1), noise_of(rows, null)
    else:
        change, noise = rows["margin"] - rows["margin_clean"], rows["margin_clean"].to_numpy() - _clean(rows, null, "margin")
    return rows.assign(change=change, noise=noise)[COLUMNS].reset_index(drop=True)


def noise_of(rows: pd.DataFrame, null: pd.DataFrame) -> np.ndarray:
    """% by which the null row of each row's batch differs from the clean forward of its question, in the answer's probability."""
    return 100 * (rows["p_base_clean"].to_numpy() / np.exp(_clean(rows, null, "logp_base")) - 1)


def _clean(rows: pd.DataFrame, null: pd.DataFrame, column: str) -> np.ndarray:
    """A column of each row's question as the clean forward gave it (rows,)."""
    return null.drop_duplicates(KEY).set_index(KEY)[column].reindex(pd.MultiIndex.from_frame(rows[KEY])).to_numpy()


def relative_change(path, models: dict, dataset: str, cut: str = "mask") -> pd.DataFrame:
    """The rows of `changes` that are real cuts, in the paper's metric: % change in probability, on questions answered rightly."""
    rows = changes(path, models, dataset, cut=cut)
    return rows[rows["control"] == "none"]


@dataclass(frozen=True)
class Reading:
    """How figures read knockouts: `figures` of config.yaml, and the tables that stand beside.

    evaluated, reliance: paths of these tables, the former in one or several parts; published: of the paper's curves, empty for
    none. metric: one of METRICS. confident: the least margin in logits of the questions that are shown, which must also be
    answered with the same content in every order of the options; None for no such choice.
    """

    evaluated: str | list
    reliance: str = ""
    published: str = ""
    metric: str = "probability"
    confident: float | None = None
    draws: int = 2000
    seed: int = 0

    @property
    def words(self) -> str:
        """The metric as a y axis names it."""
        return METRICS[self.metric]

    @property
    def answered(self) -> str:
        """Which questions are shown: "right" or "all"."""
        return "right" if self.metric == "probability" or self.confident is not None else "all"


@dataclass(frozen=True)
class Curve:
    """A route's mean change by centre with a band, arrays (layers,), and the number of questions behind it."""

    centres: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int


@dataclass(frozen=True)
class Effects:
    """What a figure shows, or one panel of it: real cuts, their controls, the questions asked, and what is published.

    rows, controls: COLUMNS of `changes`, a row a question, route and centre, controls meaned over draws; asked: a row a question
    with `correct`; published: see `published.curves`.
    """

    reading: Reading
    rows: pd.DataFrame
    controls: pd.DataFrame
    asked: pd.DataFrame
    published: pd.DataFrame = field(default_factory=pd.DataFrame)

    def of(self, **where) -> "Effects":
        """The part of which every given column has the given value, as far as a table has that column."""

        def part(table):
            for name, value in where.items():
                if name in table:
                    table = table[table[name] == value]
            return table

        tables = {name: part(getattr(self, name)) for name in ("rows", "controls", "asked", "published")}
        return replace(self, **tables)

    def curves(self, routes, of_controls: bool = False) -> dict[str, Curve]:
        """Route -> its curve, of the routes that have any rows; the band holds all their layers at once (95 %)."""
        rows = self.controls if of_controls else self.rows
        least = -100 if self.reading.metric == "probability" else -np.inf
        return bands(rows[rows["route"].isin(list(routes))], self.reading.draws, self.reading.seed, least)

    @property
    def noise(self) -> float:
        """The largest mean difference, over routes and centres, of null rows from clean forwards; 0 where there are no rows."""
        found = self.rows.groupby(["route", "centre"])["noise"].mean().abs()
        return float(found.max()) if len(found) else 0.0

    @property
    def counts(self) -> str:
        """How many questions are shown, of how many that were asked and answered correctly: "n = 20 (38 of 40 right)"."""
        shown = self.rows["question_id"].nunique()
        if not len(self.asked):
            return f"n = {shown}"
        return f"n = {shown} ({int(self.asked['correct'].sum())} of {len(self.asked)} right)"


def pointwise(rows: pd.DataFrame, draws: int, seed: int) -> Curve:
    """The mean change by centre of one route's rows, each with an interval of its own (95 %)."""
    table = rows.pivot(index=["question_id", "cluster"], columns="centre", values="change")
    mean, low, high = cluster_bootstrap(table.to_numpy(), table.index.get_level_values("cluster"), draws, seed)
    return Curve(table.columns.to_numpy(), mean, low, high, len(table))


def bands(rows: pd.DataFrame, draws: int, seed: int, least: float = -np.inf) -> dict[str, Curve]:
    """Route -> curve of `change` by centre, with one simultaneous band over all routes and centres of the rows.

    least: what no change can be below, where the band ends.
    """
    if not len(rows):
        return {}
    table = rows.pivot(index=["question_id", "cluster"], columns=["route", "centre"], values="change")
    mean, low, high = simultaneous_band(table.to_numpy(), table.index.get_level_values("cluster"), draws, seed)
    low = np.maximum(low, least)
    found, route = {}, table.columns.get_level_values("route")
    for name in dict.fromkeys(rows["route"]):
        one = np.flatnonzero(route == name)
        one = one[np.argsort(table.columns.get_level_values("centre")[one])]
        centres = table.columns.get_level_values("centre")[one].to_numpy()
        n = int(table.iloc[:, one].notna().any(axis=1).sum())
        found[name] = Curve(centres, mean[one], low[one], high[one], n)
    return found


def read(path, models: dict, dataset: str, reading, answered: str | None = None) -> Effects:
    """The effects of an analysis in a dataset. reading: a Reading or its fields as a mapping.

    answered: "wrong" for the questions that are answered wrongly, whose metric is always the probability of that answer.
    """
    reading = reading if isinstance(reading, Reading) else Reading(**reading)
    if answered == "wrong":
        reading = replace(reading, metric="probability", confident=None)
    rows = changes(path, models, dataset, reading.metric, answered=answered or reading.answered)
    rows, controls = rows[rows["control"] == "none"], random_keys(rows)
    columns = ["model", "dataset", "question_id", "task", "group", "study_split", "correct"]
    asked = pq.read_table(reading.evaluated, columns=columns).to_pandas()
    asked = asked[asked["model"].isin(list(models)) & (asked["dataset"] == dataset) & (asked["study_split"] == "knockout")]
    if answered == "wrong":
        asked = asked[:0]  # of the default order; which answers are wrong in others, only the cuts know
    if reading.confident is not None:
        sure = confident(reading, dataset)
        rows, controls = (t[pd.MultiIndex.from_frame(t[["model", "question_id"]]).isin(sure)] for t in (rows, controls))
    drawn = [pd.DataFrame()]
    if reading.published and reading.metric == "probability" and answered != "wrong":
        drawn += [published.curves(reading.published, dataset, model).assign(model=model) for model in models]
    return Effects(reading, rows, controls, asked, pd.concat(drawn))


def random_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Control rows meaned over draws, one a question, route and centre: of keys of other kinds where a question has both."""
    rows = rows[rows["control"].astype(str).str.startswith("random_")]
    by = [c for c in COLUMNS if c not in ("draw", "change", "noise")]
    rows = rows.groupby(by, dropna=False, sort=False)[["change", "noise"]].mean().reset_index().assign(draw=0)
    rows = rows.sort_values("control", kind="stable", key=lambda names: names != "random_other")
    return rows.drop_duplicates([*KEY, "route", "width", "centre"])[COLUMNS]


def confident(reading: Reading, dataset: str) -> pd.MultiIndex:
    """(model, question_id) of what is answered correctly by the margin, and with the same content in every order of the options.

    Questions that were asked in one order only are left out. Raises InputError where none was asked in another order.
    """
    columns = ["model", "dataset", "question_id", "content"]
    answers = pq.read_table(reading.evaluated, columns=[*columns, "correct", "margin"]).to_pandas()
    orders = pq.read_table(reading.reliance, columns=[*columns, "variant"]).to_pandas() if reading.reliance else answers[:0]
    orders = orders[orders["variant"].str.startswith("shuffled")] if len(orders) else orders
    answers, orders = (t[t["dataset"] == dataset] for t in (answers, orders))
    if not len(orders):
        raise InputError(
            f"figures/confident: no question of {dataset} was asked in another order of its options; set reliance/shuffles"
        )
    key = ["model", "question_id"]
    own = answers.set_index(key)
    content = own["content"].reindex(pd.MultiIndex.from_frame(orders[key])).to_numpy()
    orders = orders.assign(same=orders["content"].to_numpy() == content)
    same = orders.groupby(key)["same"].all()
    sure = own[own["correct"] & (own["margin"] >= reading.confident)].index
    return sure.intersection(same[same].index)
