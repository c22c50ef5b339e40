"""Each measure reads the rows that its claim names, and no others: small tables whose right numbers can be read off."""

import numpy as np
import pandas as pd
import pytest

from avflow.results import measures, route_measures
from avflow.tracing import row_schemas

MODEL, LAYERS, ROUTE = "m", 6, "question->last"


def tables(folder, draws=200):
    return measures.Tables(folder, {MODEL: 3}, {"video": "d", "items": "i"}, draws, 0)


def measured(folder, measure, **claim):
    return measures.measured(tables(folder), {"claim": "c", "measure": measure, **claim}, MODEL)


def knockouts(folder, curves: dict, analysis="figure_4", **more):
    """A table of knockouts. curves: (route, group, question, control) -> % change by centre."""
    rows = []
    for (route, group, question, control), curve in curves.items():
        for centre, change in enumerate(curve):
            row = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(
                question_id=question, cluster=question, dataset="d", model=MODEL
            )
            row |= dict(task=group, group=group, layout="paper_eq1", route=route, style="centred", width=3, centre=centre, draw=0)
            row |= dict(window_start=max(0, centre - 1), window_stop=min(len(curve), centre + 2), cut="mask", control=control)
            row |= dict(p_base_clean=0.5, logp_base=np.log(0.5 * (1 + change / 100)), correct_clean=True, applicable=True)
            rows.append(row | dict(margin_clean=1.0, margin=1.0 + change / 10) | more)
            rows.append(row | dict(control="null", route="none", centre=-1, logp_base=np.log(0.5), margin=1.0) | more)
    path = folder / f"knockout_{analysis}.parquet"
    pd.DataFrame(rows).drop_duplicates(["question_id", "route", "centre", "control", "style", "layout"]).to_parquet(path)
    return folder


FALL_AND_RISE = [0.0, -60.0, 0.0, 0.0, 30.0, 0.0]


def test_a_rise_has_its_own_place(tmp_path):
    knockouts(tmp_path, {(ROUTE, "g", f"q{i}", "none"): FALL_AND_RISE for i in range(4)})
    asks = dict(route=ROUTE, group="g")
    assert measured(tmp_path, "centre_of_fall", **asks)[0] == 1
    assert measured(tmp_path, "depth_of_fall", **asks)[0] == pytest.approx(1 / 5)
    assert measured(tmp_path, "depth_of_rise", **asks)[0] == pytest.approx(4 / 5)


@pytest.mark.parametrize(("measure", "effect", "control"), [("lowest", -60, -5), ("highest", 30, 9), ("mean", -5, 4 / 6)])
def test_a_control_is_read_where_the_effect_is(tmp_path, measure, effect, control):
    of = {"none": FALL_AND_RISE, "random_other": [0.0, -5.0, 0.0, 0.0, 9.0, 0.0]}
    knockouts(tmp_path, {(ROUTE, "g", f"q{i}", kind): curve for i in range(4) for kind, curve in of.items()})
    claim = dict(route=ROUTE, group="g", measure=measure)
    found = route_measures.beside_control(tables(tmp_path), claim, MODEL)
    assert found == pytest.approx((effect, control), abs=1e-6)


def test_the_bands_upper_edge_decides_and_the_fewest_questions_count(tmp_path):
    rng = np.random.default_rng(0)
    curves = {(ROUTE, "g", f"q{i}", "none"): [0.0, -60 + 20 * rng.normal(), 0.0, 0.0, 0.0, 0.0] for i in range(8)}
    curves |= {(ROUTE, "h", f"h{i}", "none"): [0.0, -9.0, 0.0, 0.0, 0.0, 0.0] for i in range(3)}
    knockouts(tmp_path, curves)
    value, *_, n = measured(tmp_path, "band", route=ROUTE, group="g")
    mean = measured(tmp_path, "lowest", route=ROUTE, group="g")[0]
    assert mean + 5 < value < 0 and n == 8
    assert measured(tmp_path, "lowest", route=ROUTE, group=["g", "h"])[3] == 3


def test_the_interval_of_an_order_takes_both_places_as_far_apart_as_they_may_be(tmp_path):
    curves = {}
    for i in range(8):
        curves["a->b", "g", f"q{i}", "none"] = [-60.0 * (c == i % 2) for c in range(LAYERS)]
        curves[ROUTE, "g", f"q{i}", "none"] = [-60.0 * (c == 4 + i % 2) for c in range(LAYERS)]
    knockouts(tmp_path, curves)
    first, then = (measured(tmp_path, "centre_of_fall", route=route, group="g") for route in ("a->b", ROUTE))
    value, low, high, n = measured(tmp_path, "order", route="a->b", then=ROUTE, group="g")
    assert first[1] < first[0] < first[2] and (value, n) == (4, 8)
    assert (low, high) == (then[1] - first[2], then[2] - first[1])


def test_the_instruments_measures_see_a_window_a_route_and_a_sign(tmp_path):
    curves = {(ROUTE, "g", f"q{i}", "none"): [5.0] * LAYERS for i in range(3)}
    curves |= {("a->b", "g", f"q{i}", "none"): [0.0] * LAYERS for i in range(3)}
    knockouts(tmp_path, curves)
    asks = dict(analysis="figure_4", layers=[0, 5], data="d")
    assert measured(tmp_path, "windows_fit", **asks)[0] == 100 and measured(tmp_path, "unchanged", **asks)[0] == 100
    path = tmp_path / "knockout_figure_4.parquet"
    rows = pd.read_parquet(path)
    late = rows.assign(window_start=rows["window_start"] + (rows["control"] == "none"))
    late.to_parquet(path)
    assert measured(tmp_path, "windows_fit", **asks)[0] == 0
    low = rows.assign(logp_base=np.where(rows["control"] == "null", np.log(0.51), rows["logp_base"]))
    low.to_parquet(path)
    assert measured(tmp_path, "noise", route=ROUTE, group="g")[0] == pytest.approx(100 * (1 - 0.5 / 0.51)), "also below 0"


def test_accuracies_are_of_the_asked_layout_style_and_control(tmp_path):
    knockouts(tmp_path, {(ROUTE, "g", f"q{i}", "none"): [0.0] * LAYERS for i in range(4)}, answer="A")
    path = tmp_path / "knockout_figure_4.parquet"
    rows = pd.read_parquet(path)
    other = rows.assign(layout="question_first", correct_clean=rows["question_id"] == "q0")
    pd.concat([rows, other]).to_parquet(tmp_path / "knockout_order_video.parquet")
    asked = [measured(tmp_path, "order_accuracy", analysis="order_video", layout=of)[0] for of in ("paper_eq1", "question_first")]
    assert asked == [100, 25]
    cut = rows[rows["control"] == "none"]
    cumulative = [rows[rows["control"] == "null"], cut.assign(style="bottom_up"), cut.assign(style="top_down", answer="B")]
    pd.concat(cumulative).to_parquet(tmp_path / "knockout_cumulative.parquet")
    kept = [measured(tmp_path, "cumulative", route=ROUTE, style=style, layer=2)[0] for style in ("bottom_up", "top_down")]
    assert kept == [100, 0]
    sweep = dict.fromkeys(row_schemas.DISCARD_SWEEP.names) | dict(model=MODEL, setting="av_video", group="g", layer=1)
    sweep = [
        sweep | dict(question_id=f"q{i}", cluster=f"q{i}", discard="Audio", control=control, correct=control == "none")
        for i in range(3)
        for control in ("none", "random")
    ]
    pd.DataFrame(sweep).to_parquet(tmp_path / "discard_sweep.parquet")
    found = [measured(tmp_path, "sweep", block="video", setting="Audio", layers=[1, 1], control=c)[0] for c in ("none", "random")]
    assert found == [100, 0] and measured(tmp_path, "sweep", block="video", setting="Audio", layers=[1, 1])[0] == 100


def test_a_saving_is_what_falls_and_letters_are_the_most_frequent(tmp_path):
    row = dict(model=MODEL, setting="av_video", group="g", task="g", dataset="d", cluster="c", correct=True)
    costs = {"none": 100.0, "All": 60.0}
    rows = [row | dict(question_id=f"q{i}", discard=way, flops_llm=x) for i in range(3) for way, x in costs.items()]
    pd.DataFrame(rows).to_parquet(tmp_path / "pruning.parquet")
    assert measured(tmp_path, "saving", block="video", setting="All", column="flops_llm")[0] == pytest.approx(-40)
    answers = [dict(row, question_id=f"q{i}", answer=letter) for i, letter in enumerate("AABA")]
    pd.DataFrame(answers).to_parquet(tmp_path / "evaluate.parquet")
    pd.DataFrame(answers).assign(variant="muted").to_parquet(tmp_path / "reliance.parquet")
    assert measured(tmp_path, "letters", group="g")[0] == 75


def test_attention_is_that_of_the_asked_layers_and_sinks_are_counted_by_layer(tmp_path):
    knockouts(tmp_path, {(ROUTE, "g", "q0", "none"): [0.0] * LAYERS})
    blank = dict.fromkeys(row_schemas.ATTENTION.names) | dict(model=MODEL, dataset="d", group="g", task="g", gold="A", number=0.0)
    rows = []
    for question, right in (("q0", True), ("q1", False)):
        about = blank | dict(question_id=question, cluster=question, correct_clean=right)
        for layer in range(LAYERS):
            here = about | {"layer": layer}
            rows.append(here | dict(kind="shares", name="audio", values=[layer / 10, layer / 10]))
            rows.append(here | dict(kind="lens", values=[float(np.log(0.8 if right else 0.1)), -9.0]))
            rows.append(here | dict(kind="sink_dimensions", name="", values=[3.0]))
            rows.append(here | dict(kind="sinks", name="video", values=[1.0, 2.0]))
        rows.append(about | dict(kind="tokens", name="video", values=[9.0]))
    pd.DataFrame(rows).to_parquet(tmp_path / "attention.parquet")
    assert measured(tmp_path, "attention", name="audio", group="g", layers=[2, 3])[0] == pytest.approx(25)
    assert measured(tmp_path, "readout", group="g", layers=[0, 5])[0] == pytest.approx(80), "of right answers alone"
    assert measured(tmp_path, "sinks", name="video", layers=[1, 4])[0] == pytest.approx(2)
