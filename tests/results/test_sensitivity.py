"""Choices are compared in the same questions: which count, where a peak is, and how far it moves. Also gather_sensitivity.py."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import script

from avflow.results import sensitivity
from avflow.results.statistics import cluster_bootstrap
from avflow.tracing import row_schemas

CHOICES = {"window": {"asks": "?", "base": "3"}, "order": {"asks": "?", "base": "Eq. 1", "questions": "all"}}
CHOICES["tasks"] = {"asks": "?", "base": "both", "alternatives": {"with_see": {"tasks": {"d": ["see", "hear"]}}}}
ROUTES = {"d": ["audio->question", "video->question"]}


def cut(i, change, centre, task="hear", width=3, layout="paper_eq1", right=True, split="knockout", route="audio->question"):
    row = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(question_id=f"q{i}", cluster=f"c{i}", model="m", dataset="d")
    row |= dict(task=task, group=task, study_split=split, layout=layout, route=route, style="centred", width=width, cut="mask")
    row |= dict(centre=centre, control="none", p_base_clean=1.0, logp_base=float(np.log1p(change / 100)))
    return row | dict(correct_clean=right, applicable=True)


def null(i, **more):
    return cut(i, 0, -1, **more) | dict(control="null", route="none", width=0)


def curve(i, depths, **more):
    """One question's null row and its cuts: one change in % per centre."""
    return [null(i, **{k: v for k, v in more.items() if k != "width"}), *(cut(i, d, c, **more) for c, d in enumerate(depths))]


PARTS = [
    {"choice": "window", "alternative": "base", "window": 3},
    {"choice": "window", "alternative": "wider", "window": 5, "differs": "window 5"},
    {"choice": "order", "alternative": "base", "window": 3},
    {"choice": "order", "alternative": "question_first", "window": 3, "layout": "question_first"},
    {"choice": "tasks", "alternative": "base", "window": 3},
    {"choice": "tasks", "alternative": "with_see", "window": 3, "tasks": ["se*", "hear"]},
]
PARTS = [{"model": "m", "dataset": "d", "analysis": "sensitivity", "differs": "", **part} for part in PARTS]


@pytest.fixture
def gathered(tmp_path):
    """Three questions of one task, the last one right only in the base's layout, and two of a task outside the knockout split."""
    rows = []
    for i, depth in enumerate((-40, -60, -50)):
        rows += curve(i, [0, depth, -10])
        rows += [row for row in curve(i, [0, -10, depth - 20], width=5) if row["control"] != "null"]
        rows += curve(i, [0, -5, 0], layout="question_first", right=i != 2)
    for i in (3, 4):
        rows += curve(i, [-80, 0, 0], task="see", split="accuracy")
    shard = tmp_path / "m/d/sensitivity/0.parquet"
    shard.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), shard)
    script("gather_sensitivity", shard, "--parts", json.dumps(PARTS), "--out", tmp_path / "s.parquet")
    return tmp_path / "s.parquet"


def test_a_row_belongs_to_every_alternative_that_it_fits(gathered):
    table = pq.read_table(gathered).to_pandas()
    assert list(table.columns) == ["choice", "alternative", "differs", *row_schemas.KNOCKOUT.names]
    cuts = table[table["control"] == "none"]
    of = cuts.groupby(["choice", "alternative"])
    assert of["question_id"].nunique().to_dict() == {
        **{("order", "base"): 3, ("order", "question_first"): 3, ("tasks", "base"): 3, ("tasks", "with_see"): 5},
        **{("window", "base"): 3, ("window", "wider"): 3},
    }
    assert of["width"].unique().map(list).to_dict()["window", "wider"] == [5]
    assert of["layout"].unique().map(list).to_dict()["order", "question_first"] == ["question_first"]
    nulls = table[table["control"] == "null"].groupby(["choice", "alternative"]).size()
    assert nulls.to_dict() == of["question_id"].nunique().to_dict(), "one null row per question"
    assert set(table.loc[table["alternative"] == "wider", "differs"]) == {"window 5"}


def test_a_peak_and_its_shift_are_those_of_the_same_questions(gathered):
    rows = sensitivity.read(gathered, CHOICES, ["m"])
    table = sensitivity.summary(rows, ROUTES, 1, 400, 0)
    assert list(dict.fromkeys(table["choice"])) == list(CHOICES), "in the order of the configuration"
    table = table[table["group"] == "all"].set_index(["choice", "alternative", "route"])
    base, wider = (table.loc[("window", name, "audio->question")] for name in ("base", "wider"))
    assert (base["n"], base["centre"], base["change"]) == (3, 1, pytest.approx(-50))
    assert (wider["centre"], wider["change"], wider["shift"]) == (2, pytest.approx(-70), pytest.approx(-20))
    assert wider[["shift_low", "shift_high"]].tolist() == pytest.approx([-20, -20]), "every question moves by 20 points"
    assert wider[["layers", "layers_low", "layers_high"]].tolist() == [1, 1, 1] and np.isnan(base["shift"])
    assert table.loc[("window", "wider", "video->question"), "n"] == 0, "a route without rows"


def test_correct_answers_are_right_under_every_alternative_unless_all_count(gathered):
    rows = sensitivity.read(gathered, CHOICES, ["m"])
    order = sensitivity.summary(rows, ROUTES, 1, 100, 0).query("choice == 'order' and group == 'all'").iloc[2]
    assert (order["alternative"], order["n_asked"], order["n_right"], order["n"]) == ("question_first", 3, 2, 3)
    strict = {**CHOICES, "order": {"asks": "?", "base": "Eq. 1"}}
    rows = sensitivity.read(gathered, strict, ["m"])
    table = sensitivity.summary(rows, ROUTES, 1, 100, 0).query("choice == 'order' and group == 'all'")
    assert table.iloc[[0, 2]]["n"].tolist() == [2, 2] and table.iloc[0]["n_right"] == 3
    assert table.iloc[0]["change"] == pytest.approx(-50), "the mean of -40 and -60"


def test_another_order_is_compared_in_questions_in_which_the_route_is_cut_in_both(tmp_path):
    """One question cannot be asked in the other order, and in one the base's order makes a route impossible."""
    rows = curve(0, [0, -40, 0]) + curve(1, [0, -60, 0]) + curve(2, [0, -90, 0])
    rows += [row | dict(applicable=row["control"] == "null") for row in curve(3, [0, 0, 0])]
    rows += [row for i in (0, 1, 3) for row in curve(i, [0, -20, 0], layout="eq3")]
    rows = [{"choice": "order", "differs": "", "alternative": "eq3" if r["layout"] == "eq3" else "base"} | r for r in rows]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "s.parquet")
    table = sensitivity.summary(sensitivity.read(tmp_path / "s.parquet", CHOICES, ["m"]), ROUTES, 1, 100, 0)
    table = table.query("group == 'all' and route == 'audio->question'").set_index("alternative")
    assert table["n"].tolist() == [2, 2] and table["n_asked"].tolist() == [4, 3]
    assert table["change"].tolist() == pytest.approx([-50, -20]) and table.loc["eq3", "shift"] == pytest.approx(30)


def test_other_tasks_are_compared_though_their_questions_differ(gathered):
    rows = sensitivity.read(gathered, CHOICES, ["m"])
    table = sensitivity.summary(rows, ROUTES, 1, 2000, 0).query("choice == 'tasks' and route == 'audio->question'")
    other = table.query("alternative == 'with_see'").set_index("group")
    assert other.loc["all", "n"] == 5 and other.loc["all", "centre"] == 0
    assert other.loc["all", "change"] == pytest.approx(-32) and other.loc["all", "shift"] == pytest.approx(18)
    assert other.loc["all", "shift_low"] < 18 < other.loc["all", "shift_high"]
    assert other.loc["see", "n"] == 2 and np.isnan(other.loc["see", "shift"]), "the base has no question of this group"


def test_a_peak_below_the_threshold_has_no_place():
    frame = lambda depth: pd.DataFrame(  # noqa: E731
        [dict(question_id=i, cluster=i, centre=c, change=depth * (c == 1)) for i in range(6) for c in range(3)]
    )
    rows = pd.concat([frame(-30).assign(alternative="base"), frame(-0.5).assign(alternative="less")])
    rows = rows.assign(model="m", dataset="d", choice="c", differs="", group="g", route="audio->question", counted=True)
    table = sensitivity.summary(rows.assign(control="none", correct_clean=True), ROUTES, 1, 50, 0).query(
        "group == 'all' and n > 0"
    )
    assert table["centre"].iloc[0] == 1 and np.isnan(table["centre"].iloc[1]) and table["change"].tolist() == [-30, -0.5]
    found = sensitivity.shift(frame(-30), frame(-0.5), 1, 50, 0)
    assert found["shift"] == pytest.approx(29.5) and "layers" not in found
    assert sensitivity.shift(frame(-30), frame(-2), 1, 50, 0)["layers"] == 0


def test_the_influence_of_paired_questions_is_their_difference():
    rng = np.random.default_rng(0)
    values = pd.DataFrame({"a": rng.normal(size=20), "b": rng.normal(size=20)})
    assert np.allclose(sensitivity.influence(values, "a", "b"), values["b"] - values["a"])


def test_an_interval_of_overlapping_questions_is_as_wide_as_the_bootstrap_of_both_means():
    rng = np.random.default_rng(1)
    values = pd.DataFrame({"a": rng.normal(0, 10, 120), "b": rng.normal(5, 20, 120)})
    values.loc[:39, "a"], values.loc[80:, "b"] = np.nan, np.nan
    mean, low, high = cluster_bootstrap(sensitivity.influence(values, "a", "b")[:, None], np.arange(120), 4000, 0)
    assert mean[0] == pytest.approx(values["b"].mean() - values["a"].mean())
    drawn = [values.iloc[rng.integers(120, size=120)] for _ in range(4000)]
    full = np.std([one["b"].mean() - one["a"].mean() for one in drawn])
    assert (high[0] - low[0]) / (2 * 1.98) == pytest.approx(full, rel=0.08)
