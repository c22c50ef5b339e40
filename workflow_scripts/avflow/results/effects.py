"""What cuts do to answers: the change by question, route and layer, with its size-matched random controls and its noise floor.

There are two metrics. Each compares a cut with the null row of the same batch:

    probability         % change of the probability of the model's uncut answer (section 2.1), on questions answered correctly;
                        of a free answer, that of all its tokens together
    logit_difference    change of the right letter's logit minus the best other letter's, on all questions. It does not saturate
                        and keeps questions answered wrongly (Zhang and Nanda, arXiv 2309.16042). Free questions are left out.

Noise is the difference between null rows and one clean forward. A change below it shows nothing.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..errors import InputError
from ..questions import layouts
from . import conditions, free_answers, published
from .statistics import cluster_bootstrap, simultaneous_band

METRICS = {"probability": "% Change in Probability", "logit_difference": "Change in Logit Difference"}
LEAST = 10  # questions below which a curve has no band; config.yaml: figures/least
KEY = ["model", "question_id", "layout"]
COLUMNS = [*KEY, "cluster", "task", "group", "needs", "route", "width", "centre", "control", "draw", "change", "noise"]
OF_QUESTIONS = ("rows", "controls", "asked", "impossible")  # tables with a column question_id
NUMBERS = ["logp_base", "p_base_clean", "margin", "margin_clean"]


def changes(path, models: dict, dataset: str, metric: str = "probability", style="centred", answered="right", cut="mask"):
    """Rows of a dataset's applicable cuts, both real cuts and random controls: a DataFrame with COLUMNS.

    models: name -> width of the window; None keeps all widths. answered: "right" or "all" questions, in the default layout, or
    "wrong" answers, in every layout. cut: "mask" or "value_zero". Column `change` is in the metric's unit. Column `noise`, in the
    same unit, is the difference between the null row of the cut's batch and the question's clean forward. An empty path gives no
    rows. Raises InputError for an unknown metric.
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
    wanted = free_answers.columns_of(path, wanted)
    rows, null = (pq.read_table(path, columns=wanted, filters=f).to_pandas() for f in (real, null))
    width = rows["model"].map(models)
    rows = rows[width.isna() | (width == rows["width"])]
    if metric == "probability":
        change, noise = free_answers.change(rows), noise_of(rows, null)
    else:
        rows = free_answers.with_options(rows, f"{path}, {metric}")
        change, noise = rows["margin"] - rows["margin_clean"], rows["margin_clean"].to_numpy() - _clean(rows, null, "margin")
    return rows.assign(change=change, noise=noise)[COLUMNS].reset_index(drop=True)


def impossible(path, dataset: str, answered="right") -> pd.DataFrame:
    """Routes that the order of a question's parts makes impossible: one row per model, question and route, in the default layout.

    No token of such a route's target stands behind one of its source, so there is nothing to cut. answered: as in `changes`.
    """
    columns = [*KEY, "task", "group", "route"]
    if not path or answered == "wrong":
        return pd.DataFrame(columns=columns)
    keep = [("dataset", "=", dataset), ("applicable", "=", False), ("control", "=", "none"), ("layout", "not in", layouts.NAMES)]
    keep += [] if answered == "all" else [("correct_clean", "=", True)]
    return pq.read_table(path, columns=columns, filters=keep).to_pandas().drop_duplicates(ignore_index=True)


def noise_of(rows: pd.DataFrame, null: pd.DataFrame) -> np.ndarray:
    """Difference in % between the answer's probability in each row's null row and in its question's clean forward (rows,)."""
    found = 100 * (rows["p_base_clean"].to_numpy() / np.exp(_clean(rows, null, "logp_base")) - 1)
    if "logp_reply" not in rows:
        return found
    whole = 100 * np.expm1(rows["logp_reply_clean"].to_numpy(dtype=float) - _clean(rows, null, "logp_reply").astype(float))
    return np.where(rows["reply_tokens"].isna(), found, whole)


def _clean(rows: pd.DataFrame, null: pd.DataFrame, column: str) -> np.ndarray:
    """The value of a column in the clean forward of each row's question (rows,)."""
    return null.drop_duplicates(KEY).set_index(KEY)[column].reindex(pd.MultiIndex.from_frame(rows[KEY])).to_numpy()


def relative_change(path, models: dict, dataset: str, cut: str = "mask") -> pd.DataFrame:
    """The real cuts of `changes` in the paper's metric: % change in probability, on questions answered correctly."""
    rows = changes(path, models, dataset, cut=cut)
    return rows[rows["control"] == "none"]


@dataclass(frozen=True)
class Reading:
    """How figures read knockouts: settings under `figures` in config.yaml, and the other tables that they need.

    evaluated, reliance: paths of these tables; `evaluated` may be a list of parts. published: path of the paper's curves, empty
    for none. metric: one of METRICS. confident: show only questions answered correctly by at least this margin in logits, and
    with the same content in every order of the options; None shows all. draws, seed: of the bootstrap. least: the fewest
    questions of a curve with a band. asked: our own conditions, to be held against those of published values; see `conditions`.
    """

    evaluated: str | list
    reliance: str = ""
    published: str = ""
    metric: str = "probability"
    confident: float | None = None
    draws: int = 2000
    seed: int = 0
    least: int = LEAST
    asked: dict = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The metric's name on a y axis."""
        return METRICS[self.metric]

    @property
    def answered(self) -> str:
        """Which questions are shown: "right" or "all"."""
        return "right" if self.metric == "probability" or self.confident is not None else "all"


@dataclass(frozen=True)
class Curve:
    """A route's mean change by centre with its band, as arrays (layers,), and the number n of questions behind it."""

    centres: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int


@dataclass(frozen=True)
class Effects:
    """The data of a figure or of one panel: real cuts, their controls, the questions asked, and published values.

    rows, controls: COLUMNS of `changes`, one row per question, route and centre; controls are averaged over draws. asked: one row
    per question, with `correct`. published: see `published.curves`. impossible: see the function of this name.
    """

    reading: Reading
    rows: pd.DataFrame
    controls: pd.DataFrame
    asked: pd.DataFrame
    published: pd.DataFrame = field(default_factory=pd.DataFrame)
    impossible: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*KEY, "route"]))

    @property
    def published_conditions(self) -> list[str]:
        """Under which conditions the published values were found, each once; see `conditions.words`."""
        told = self.published.drop_duplicates(["dataset", "model", "fps", "prompt"]) if len(self.published) else self.published
        ours = [conditions.here(self.reading.asked, row.dataset, row.model) for row in told.itertuples()]
        return list(dict.fromkeys(conditions.words(row.fps, row.prompt, own) for row, own in zip(told.itertuples(), ours)))

    def of(self, **where) -> "Effects":
        """The part in which every given column has the given value. Tables without that column stay whole."""

        def part(table):
            for name, value in where.items():
                if name in table:
                    table = table[table[name] == value]
            return table

        return replace(self, **{name: part(getattr(self, name)) for name in (*OF_QUESTIONS, "published")})

    def among(self, ids) -> "Effects":
        """The part of these questions."""
        tables = {name: getattr(self, name) for name in OF_QUESTIONS}
        return replace(self, **{name: table[table["question_id"].isin(ids)] for name, table in tables.items() if len(table)})

    def cut_in(self, routes) -> dict[str, tuple[int, int]]:
        """Route -> in how many questions it was cut, and of how many; in the others their order makes it impossible."""
        possible = self.rows.groupby("route")["question_id"].nunique()
        other = self.impossible.groupby("route")["question_id"].nunique()
        numbers = {route: (int(possible.get(route, 0)), int(other.get(route, 0))) for route in routes}
        return {route: (n, n + none) for route, (n, none) in numbers.items() if n + none}

    def curves(self, routes, of_controls: bool = False) -> dict[str, Curve]:
        """Route -> curve, for routes that have rows. The 95 % band holds all their layers simultaneously."""
        rows = self.controls if of_controls else self.rows
        least = -100 if self.reading.metric == "probability" else -np.inf
        return bands(rows[rows["route"].isin(list(routes))], self.reading.draws, self.reading.seed, least)

    @property
    def groups(self) -> list[str]:
        """The groups of tasks with rows, and those asked without a right answer, which have none in the metric probability."""
        asked = self.asked.groupby("group")["correct"].any() if len(self.asked) else pd.Series(dtype=bool)
        return list(dict.fromkeys([*self.rows["group"], *asked.index[~asked.astype(bool)]]))

    @property
    def nothing(self) -> str:
        """Why there is no row to show."""
        if self.reading.metric != "probability" or not len(self.asked) or self.asked["correct"].any():
            return "no rows"
        said = f"0 of {len(self.asked)} answered right, so there is\nno right answer whose probability could fall."
        return f"{said}\nconfig.yaml, figures: metric: logit_difference\nshows wrong answers, too."

    @property
    def noise(self) -> float:
        """The noise floor: largest mean difference of null rows from clean forwards, over routes and centres; 0 without rows."""
        found = self.rows.groupby(["route", "centre"])["noise"].mean().abs()
        return float(found.max()) if len(found) else 0.0

    @property
    def counts(self) -> str:
        """How many questions are shown, and how many of those asked were answered correctly: "n = 20 (38 of 40 right)"."""
        shown = self.rows["question_id"].nunique()
        if not len(self.asked):
            return f"n = {shown}"
        return f"n = {shown} ({int(self.asked['correct'].sum())} of {len(self.asked)} right)"


def pointwise(rows: pd.DataFrame, draws: int, seed: int) -> Curve:
    """The mean change of one route's rows by centre, with a pointwise 95 % interval at each centre."""
    table = rows.pivot(index=["question_id", "cluster"], columns="centre", values="change")
    mean, low, high = cluster_bootstrap(table.to_numpy(), table.index.get_level_values("cluster"), draws, seed)
    return Curve(table.columns.to_numpy(), mean, low, high, len(table))


def bands(rows: pd.DataFrame, draws: int, seed: int, least: float = -np.inf) -> dict[str, Curve]:
    """Route -> curve of `change` by centre, with one simultaneous 95 % band over all routes and centres of the rows.

    least: the lowest possible change, at which the band is clipped.
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


def read(path, models: dict, dataset: str, reading, answered: str | None = None, cut: str = "mask") -> Effects:
    """The effects of an analysis in a dataset. reading: a Reading, or its fields as a mapping. cut: as in `changes`.

    answered: "wrong" for wrong answers, whose metric is always the probability of the answer given.
    """
    reading = reading if isinstance(reading, Reading) else Reading(**reading)
    if answered == "wrong":
        reading = replace(reading, metric="probability", confident=None)
    rows = changes(path, models, dataset, reading.metric, answered=answered or reading.answered, cut=cut)
    rows, controls = rows[rows["control"] == "none"], random_keys(rows)
    none = impossible(path, dataset, answered or reading.answered)
    none = none[none["model"].isin(list(models))]
    columns = ["model", "dataset", "question_id", "task", "group", "study_split", "correct"]
    asked = pq.read_table(reading.evaluated, columns=columns).to_pandas()
    asked = asked[asked["model"].isin(list(models)) & (asked["dataset"] == dataset) & (asked["study_split"] == "knockout")]
    asked = free_answers.with_right_answer(asked, f"accuracy in {dataset}")
    if answered == "wrong":
        asked = asked[:0]  # these are in the default order; only the cuts know which answers are wrong in other orders
    if reading.confident is not None:
        sure = confident(reading, dataset)
        pairs = lambda table: pd.MultiIndex.from_frame(table[["model", "question_id"]])  # noqa: E731
        rows, controls, none = (table[pairs(table).isin(sure)] for table in (rows, controls, none))
    drawn = [pd.DataFrame()]
    if reading.published and reading.metric == "probability" and answered != "wrong":
        drawn += [published.curves(reading.published, dataset, model).assign(model=model) for model in models]
    return Effects(reading, rows, controls, asked, pd.concat(drawn), none)


def random_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Control rows averaged over draws, one per question, route and centre; `random_other` wins if a question has both kinds."""
    rows = rows[rows["control"].astype(str).str.startswith("random_")]
    by = [c for c in COLUMNS if c not in ("draw", "change", "noise")]
    rows = rows.groupby(by, dropna=False, sort=False)[["change", "noise"]].mean().reset_index().assign(draw=0)
    rows = rows.sort_values("control", kind="stable", key=lambda names: names != "random_other")
    return rows.drop_duplicates([*KEY, "route", "width", "centre"])[COLUMNS]


def confident(reading: Reading, dataset: str) -> pd.MultiIndex:
    """(model, question_id) of questions answered correctly by the margin, with the same content in every order of the options.

    Questions that were asked in only one order are left out. Raises InputError if none was asked in another order.
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
    sure = own[own["correct"].eq(True) & (own["margin"] >= reading.confident)].index
    return sure.intersection(same[same].index)
