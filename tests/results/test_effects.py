"""From knockout tables to effects: both metrics, controls, the noise floor, and the questions that count."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.colors import to_hex
from scipy import stats
from table_rows import knockout_table

from avflow.errors import InputError
from avflow.figures import palette, route_panels
from avflow.results import effects
from avflow.tracing import row_schemas

BASE = dict(dataset="d", model="m", layout="paper_eq1", group="hear", task="hear", style="centred", cut="mask", applicable=True)

CENTRES, QUESTIONS = 6, 12


def row(i, control="none", centre=0, after=0.9, margin=2.0, draw=0, route="audio->question", **more):
    """A cut of question i: the answer falls from 0.9 to `after`, the margin from 2 to `margin`; q11 is answered wrongly."""
    found = dict.fromkeys(row_schemas.KNOCKOUT.names) | BASE
    found |= dict(question_id=f"q{i}", cluster=f"c{i // 2}", route=route, control=control, centre=centre, draw=draw, width=3)
    found |= dict(logp_base=float(np.log(after)), p_base_clean=0.9, margin=margin, margin_clean=2.0, correct_clean=i != 11)
    return found | more


@pytest.fixture
def path(tmp_path):
    """Twelve questions of six clips: at centre 2 the route takes half of the probability and 4 of margin; two random draws."""
    rows = []
    for i in range(QUESTIONS):
        rows.append(row(i, "null", -1, 0.9 * 0.999, 2.5, width=0, route="none"))
        for c in range(CENTRES):
            rows.append(row(i, centre=c, after=0.45 - 0.01 * i if c == 2 else 0.9, margin=-2.0 if c == 2 else 2.0))
            rows += [row(i, "random_same", c, 0.1), row(i, "random_other", c, 0.81), row(i, "random_other", c, 0.9, draw=1)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    return tmp_path / "k.parquet"


@pytest.fixture
def evaluated(tmp_path):
    rows = []
    for i in range(QUESTIONS):
        one = dict.fromkeys(row_schemas.EVALUATE.names) | dict(
            question_id=f"q{i}", dataset="d", model="m", group="hear", task="hear"
        )
        rows.append(one | dict(study_split="knockout", correct=i != 11, margin=0.2 * i, content=f"sound {i}"))
    rows.append({**rows[0], "study_split": "accuracy", "question_id": "beside"})
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "e.parquet")
    return str(tmp_path / "e.parquet")


def shuffled(tmp_path, contents):
    schema = row_schemas.EVALUATE.append(pa.field("variant", pa.string()))
    blank = dict.fromkeys(schema.names)
    rows = [blank | dict(question_id=q, dataset="d", model="m", content=c, variant=v) for q, v, c in contents]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "r.parquet")
    return str(tmp_path / "r.parquet")


def test_the_papers_metric_is_of_right_answers_and_relative_to_the_null_row_of_the_batch(path, evaluated):
    found = effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "draws": 200})
    assert "q11" not in set(found.rows["question_id"]) and found.rows["question_id"].nunique() == 11
    at = found.rows[found.rows["centre"] == 2].set_index("question_id")["change"]
    assert at["q0"] == pytest.approx(-50, abs=1e-4) and at["q10"] == pytest.approx(100 * (0.35 / 0.9 - 1), abs=1e-4)
    assert found.noise == pytest.approx(100 * (1 / 0.999 - 1), abs=1e-4), "the batches' null rows against the clean forward"
    assert found.counts == "n = 11 (11 of 12 right)"


def test_wrong_answers_are_counted_alone_for_they_may_be_of_other_orders(path, evaluated):
    found = effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "metric": "logit_difference"}, answered="wrong")
    assert set(found.rows["question_id"]) == {"q11"} and found.counts == "n = 1"
    assert found.reading.words == "% Change in Probability", "of the wrong answer, whatever the others' metric"


def test_the_logit_difference_is_of_all_questions(path, evaluated):
    found = effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "metric": "logit_difference", "draws": 200})
    assert found.rows["question_id"].nunique() == QUESTIONS and found.counts == "n = 12 (11 of 12 right)"
    means = found.rows.groupby("centre")["change"].mean()
    assert means.tolist() == [0, 0, -4, 0, 0, 0] and found.noise == pytest.approx(0.5)
    assert found.reading.words == "Change in Logit Difference"


def test_random_keys_are_averaged_over_draws_and_are_of_other_kinds_if_possible(path, evaluated):
    found = effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "draws": 200})
    assert set(found.rows["control"]) == {"none"} and set(found.controls["control"]) == {"random_other"}
    assert len(found.controls) == 11 * CENTRES and found.controls["change"].to_numpy() == pytest.approx(-5, abs=1e-4)
    curve = found.curves(["audio->question"], of_controls=True)["audio->question"]
    assert curve.mean == pytest.approx([-5] * CENTRES, abs=1e-4) and curve.n == 11


def test_a_band_holds_all_routes_and_layers_at_once_and_ends_where_no_change_can_be():
    rng, rows = np.random.default_rng(0), []
    for i in range(12):
        for route in ("a->b", "b->c"):
            for c in range(8):
                change = -100.0 if rng.random() < 0.6 else rng.normal(0, 2)
                rows.append(dict(question_id=f"q{i}", cluster=f"c{i}", route=route, centre=c, change=change))
    rows = pd.DataFrame(rows)
    together = effects.bands(rows, 500, 0)
    for route, curve in together.items():
        alone = effects.pointwise(rows[rows["route"] == route], 500, 0)
        assert np.array_equal(curve.centres, alone.centres) and np.allclose(curve.mean, alone.mean) and curve.n == 12
        assert np.mean(curve.high - curve.low) > 1.2 * np.mean(alone.high - alone.low)
    assert min(curve.low.min() for curve in together.values()) < -100
    assert min(curve.low.min() for curve in effects.bands(rows, 500, 0, -100).values()) == -100


@pytest.mark.parametrize("routes", [1, 10])
def test_bands_and_intervals_hold_95_percent(routes):
    """Of one column of 400 normal values, 1.96 standard errors to either side; of m independent columns, the quantile for all."""
    rng = np.random.default_rng(1)
    asked = [(i, f"r{r}", rng.normal()) for i in range(400) for r in range(routes)]
    rows = pd.DataFrame([dict(question_id=f"q{i}", cluster=f"c{i}", route=route, centre=0, change=x) for i, route, x in asked])
    spread = rows.groupby("route")["change"].std() / 20
    reach = stats.norm.ppf(0.5 + 0.95 ** (1 / routes) / 2)
    for route, curve in effects.bands(rows, 4000, 0).items():
        assert (curve.high - curve.low)[0] / (2 * spread[route]) == pytest.approx(reach, rel=0.06)
        alone = effects.pointwise(rows[rows["route"] == route], 4000, 0)
        assert (alone.high - alone.low)[0] / (2 * spread[route]) == pytest.approx(1.96, rel=0.06)


def test_the_confident_are_right_by_a_margin_and_alike_in_every_order(path, evaluated, tmp_path):
    alike = [(f"q{i}", "shuffled_1", f"sound {i}") for i in (3, 6, 7, 11)]
    other = [("q8", "shuffled_1", "sound 8"), ("q8", "shuffled_2", "sound 3"), ("q9", "muted", "sound 9")]
    reading = {"evaluated": evaluated, "reliance": shuffled(tmp_path, alike + other), "confident": 1.0, "draws": 200}
    found = effects.read(path, {"m": 3}, "d", reading)
    assert set(found.rows["question_id"]) == {"q6", "q7"} == set(found.controls["question_id"])
    assert found.counts == "n = 2 (11 of 12 right)"
    every = effects.read(path, {"m": 3}, "d", {**reading, "metric": "logit_difference"})
    assert set(every.rows["question_id"]) == {"q6", "q7"}, "in either metric"


def test_what_cannot_be_read_is_one_line(path, evaluated, tmp_path):
    with pytest.raises(InputError, match="figures/metric is 'accuracy'; it must be probability or logit_difference"):
        effects.changes(path, {"m": 3}, "d", "accuracy")
    never = shuffled(tmp_path, [("q1", "muted", "sound 1")])
    with pytest.raises(InputError, match="no question of d was asked in another order of its options; set reliance/shuffles"):
        effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "reliance": never, "confident": 0.0})


def test_a_panel_shows_the_band_the_controls_the_noise_and_how_many(path, evaluated):
    found = effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "draws": 200})
    figure = route_panels.route_panels(found, ["m"], [("Hear", "hear", ["audio->question"])])
    (axis,) = figure.axes
    assert [t.get_text() for t in axis.texts] == ["n = 11 (11 of 12 right)\nrandom keys: n = 11\nnoise floor 0.1 %"]
    (dotted,) = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert dotted.get_ydata() == pytest.approx([-5] * CENTRES, abs=1e-4)
    control, band = axis.collections
    assert control.get_facecolor()[0, :3] == pytest.approx([0.6] * 3)
    assert to_hex(control.get_edgecolor()[0]) == to_hex(palette.BLUE) == to_hex(dotted.get_color())
    reach = lambda part: (part.get_paths()[0].vertices[:, 1].min(), part.get_paths()[0].vertices[:, 1].max())  # noqa: E731
    assert reach(control) == pytest.approx((-5, -5), abs=1e-3) and reach(band)[0] < -55 and reach(band)[1] >= 0
    said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert said == [
        "95 % simultaneous band over a panel's layers and routes",
        "size-matched random control, 95 % (dotted); none where too few other keys exist",
    ]
    alone = route_panels.route_panels(found.of(group="see"), ["m"], [("See", "see", ["audio->question"])])
    assert "no rows" in [t.get_text() for t in alone.axes[0].texts]


def test_wrong_answers_are_taken_in_every_order_and_right_ones_in_the_usual(tmp_path):
    path = knockout_table(tmp_path / "k.parquet", {("hear", "audio->last"): [-10.0]})
    rows = pq.read_table(path).to_pylist()
    other = {**rows[0], "layout": "question_first"}
    rows += [other, {**other, "question_id": "w", "correct_clean": False}, {**rows[0], "style": "top_down", "question_id": "t"}]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), path)
    ids = lambda **more: effects.changes(path, {"m": 3}, "d", **more)["question_id"].tolist()
    assert (ids(), ids(answered="wrong"), ids(style="top_down")) == (["q"], ["w"], ["t"])


def test_cuts_of_another_kind_or_width_and_questions_of_other_answers_are_left_out(tmp_path):
    path = knockout_table(tmp_path / "k.parquet", {("hear", "audio->last"): [-10.0]})
    (cut,) = pq.read_table(path).to_pylist()
    others = {"v": {"cut": "value_zero"}, "w": {"width": 5}, "n": {"applicable": False}, "x": {"applicable": False}}
    rows = [cut, *({**cut, "question_id": name, **what} for name, what in others.items())]
    rows[-1]["correct_clean"] = False
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), path)
    ids = lambda width, **more: effects.changes(path, {"m": width}, "d", **more)["question_id"].tolist()
    assert (ids(3), ids(3, cut="value_zero"), ids(5), ids(None)) == (["q"], ["v"], ["w"], ["q", "w"])
    none = {answered: set(effects.impossible(path, "d", answered)["question_id"]) for answered in ("right", "all", "wrong")}
    assert none == {"right": {"n"}, "all": {"n", "x"}, "wrong": set()}


def test_the_noise_floor_is_the_largest_mean_and_published_values_belong_to_their_group(path, evaluated):
    found = effects.read(path, {"m": 3}, "d", {"evaluated": evaluated, "draws": 200})
    rows = found.rows.assign(noise=found.rows["centre"].map({0: 0.1, 1: -0.7}).fillna(0.2))
    published = pd.DataFrame([dict(group=group, route="audio->question", model="m") for group in ("hear", "see")])
    changed = dataclasses.replace(found, rows=rows, published=published)
    assert changed.noise == pytest.approx(0.7)
    assert changed.of(group="see").published["group"].tolist() == ["see"] and len(changed.of(model="n").published) == 0
