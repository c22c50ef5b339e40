"""Means of single heads, and of heads cut together by their share of all heads; and avflow.results.head_measures."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avflow.results import heads, measures
from avflow.tracing import row_schemas

HEADS = [(0, "0", -10), (0, "1", 0), (0, "all", -20), (1, "0", 0), (1, "1", -30), (1, "all", -60)]  # layer, heads, change in %


def row(clip, start, named, change, control="none", draw=0, **more):
    given = dict(question_id=f"q{clip}", cluster=f"c{clip}", model="m", dataset="d", route="question->last")
    given |= dict(window_start=start, window_stop=start + 1 if control == "null" or named in ("0", "1", "all") else 2)
    given |= dict(heads=named, control=control, draw=draw, cut="mask", applicable=True, correct_clean=True, layout="paper_eq1")
    given |= dict(logp_base=math.log(0.5 * (1 + change / 100)), p_base_clean=0.5)
    return dict.fromkeys(row_schemas.KNOCKOUT.names) | given | more


def table(tmp_path, rows):
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    return tmp_path / "k.parquet"


def test_a_map_has_the_mean_of_every_head_and_of_all_heads_of_a_layer(tmp_path):
    rows = [row(clip, layer, named, -10 * layer - clip) for clip in range(4) for layer in (0, 1) for named in ("0", "1", "all")]
    rows += [row(0, 0, "0", -90, correct_clean=False), row(0, 0, "none", 0, "null"), row(0, 0, "0", -90, dataset="other")]
    found = heads.alone(table(tmp_path, rows), ["m"], "d", 200, 0)
    assert len(found) == 6 and set(found["n"]) == {4} and set(found["kind"]) == {"alone"}
    of = found.set_index(["layer", "heads"])["change"]
    assert of[1, "all"] == pytest.approx(-11.5, abs=1e-4) and of[0, "1"] == pytest.approx(-1.5, abs=1e-4)
    assert (found["ci_low"] < found["change"]).all() and (found["change"] < found["ci_high"]).all()


def test_a_curve_averages_random_draws_and_ends_in_the_cut_of_all_heads(tmp_path):
    rows = []
    for clip in range(4):
        rows += [row(clip, 0, "1:0", -40), row(clip, 0, "0:1 1:0", -60), row(clip, 0, "0,1", -80 - clip)]
        rows += [row(clip, 0, "0:0", -10, "random_heads", 0), row(clip, 0, "1:1", -20, "random_heads", 1)]
    found = heads.together(table(tmp_path, rows), ["m"], "d", 200, 0)
    told = {(r.kind, r.n_heads): (r.share, round(r.change, 3)) for r in found.itertuples()}
    assert told == {
        ("strongest", 1): (0.25, -40.0),
        ("strongest", 2): (0.5, -60.0),
        ("strongest", 4): (1.0, -81.5),
        ("random", 1): (0.25, -15.0),
        ("random", 4): (1.0, -81.5),
    }


def test_shares_are_of_each_models_own_heads(tmp_path):
    rows = [row(clip, 0, named, -40, model=model) for clip in range(3) for model, named in (("m", "0,1"), ("n", "0,1,2,3"))]
    rows += [row(clip, 0, "1:0", -4, model=model) for clip in range(3) for model in "mn"]
    found = heads.together(table(tmp_path, rows), ["m", "n"], "d", 50, 0)
    alone = found[(found["n_heads"] == 1) & (found["kind"] == "strongest")]
    assert dict(zip(alone["model"], alone["share"])) == {"m": 1 / 4, "n": 1 / 8}


def test_measures_take_the_heads_that_a_claim_names(tmp_path):
    rows = [row(clip, layer, named, cost) for clip in range(4) for layer, named, cost in HEADS]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "knockout_heads.parquet")
    tables = measures.Tables(tmp_path, {"m": 1}, {"video": "d"}, 50, 0)

    def value(measure, **claim):
        given = {"claim": "c", "measure": measure, "route": "question->last", **claim}
        return measures.measured(tables, given, "m")[0]

    assert value("head") == pytest.approx(-30, abs=1e-3) and value("head", all=True) == pytest.approx(-60, abs=1e-3)
    assert value("head", layers=[0, 0]) == pytest.approx(-10, abs=1e-3)
    assert value("head_layer") == pytest.approx((0 * 10 + 1 * 30) / 40, abs=1e-3)
    assert math.isnan(value("heads_together", share=0.5)), "its table is absent"


def test_heads_are_counted_over_layers():
    assert [heads.count(text, 4) for text in ("4:0", "4:0,2 5:1", "0,1,2", "1")] == [1, 3, 12, 4]
