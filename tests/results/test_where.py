"""What times and places keep and lose: means around events, how often an event is found, and which questions are shown."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ship
from avflow.results import measures, where
from avflow.tracing import row_schemas

EVENT = (2.0, 3.0)


def rows_of(number, changes, right=True, task="hear", sense="audio", model="m", target="question", event=EVENT):
    """A question whose clip has slices of one second: the null row, and each seen alone in all layers and in one window.

    changes: of the slices alone. Without a slice, 1 % is lost.
    """
    own = dict(question_id=f"q{number}", cluster=f"c{number // 2}", task=task, group=task, model=model, dataset="mini-video")
    own |= dict(correct_clean=right, applicable=True, p_base_clean=0.5, cut="mask")
    found = [dict(control="null", logp_base=np.log(0.5), route="none", style="centred", centre=-1)]
    for i, change in enumerate(changes):
        part = dict(source=f"{sense}.time", part=f"{sense}.time_{i}", route=f"{sense}.time_{i}->{target}", start=i, stop=i + 1.0)
        part |= dict(zip(("event_start", "event_stop"), event or (None, None)), control="none")
        ways = (("top_down", 0, True, change), ("centred", 5, True, change / 2), ("top_down", 0, False, -1.0))
        for style, centre, alone, value in ways:
            cut = {"style": style, "centre": centre, "alone": alone, "logp_base": np.log(0.5 * (1 + value / 100))}
            found.append({**part, **cut})
    empty = dict.fromkeys(row_schemas.WHERE.names)
    return [{**empty, **own, **row} for row in found]


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.WHERE), path)
    return path


@pytest.fixture
def table(tmp_path):
    """Six questions in three clips: four keep most in the event, one elsewhere, one tells nothing; and one answered wrongly."""
    rows = [row for n in range(4) for row in rows_of(n, [-90, -80, -n, -90])]
    rows += rows_of(4, [0, -60, -70, -80]) + rows_of(5, [0, -0.5, 0, 0]) + rows_of(6, [-90, -90, 0, -90], right=False)
    look = dict.fromkeys(row_schemas.WHERE.names) | rows[0] | dict(cut="attention", control="none", route="audio->question")
    rows += [{**look, "source": "audio.token", "centre": n, "shape": [3], "values": [0.1, 0.2, 0.3], "stop": 3.0} for n in (0, 1)]
    return write(tmp_path / "where.parquet", rows)


def test_changes_are_those_of_questions_answered_right_by_style(table):
    whole, windows = (where.cuts(table, ["m"], style) for style in (where.WHOLE, "centred"))
    assert len(whole) == 2 * len(windows) == 6 * 8 and set(whole["target"]) == {"question"}
    one = whole[(whole["question_id"] == "q3") & (whole["part"] == "audio.time_2")].set_index("alone")["change"]
    assert one[True] == pytest.approx(-3, abs=1e-4) and one[False] == pytest.approx(-1, abs=1e-4)
    assert windows["change"].min() == pytest.approx(-45, abs=1e-4)
    assert len(where.cuts(table, ["m"], question="q1")) == 12 and not len(where.cuts(table, ["other"]))


def test_means_stand_by_the_time_from_the_event(table):
    found = where.around(where.cuts(table, ["m"], where.WHOLE), 200, 0)
    assert found.loc[~found["alone"].astype(bool), "change"].to_numpy() == pytest.approx([-1] * 4, abs=1e-3)
    found = found[found["alone"].astype(bool)].set_index("seconds")
    assert found.index.tolist() == [-2, -1, 0, 1] and set(found["n"]) == {6}
    expected = [-360 / 6, -(4 * 80 + 60 + 0.5) / 6, -(0 + 1 + 2 + 3 + 70) / 6, -(4 * 90 + 80) / 6]
    assert found["change"].tolist() == pytest.approx(expected, abs=1e-3)
    assert found.loc[0, "ci_low"] < found.loc[0, "change"] < found.loc[0, "ci_high"]


def test_an_event_is_found_where_the_slice_that_keeps_most_lies_in_it(table):
    found = where.found_events(where.cuts(table, ["m"], where.WHOLE)).set_index("question_id")
    assert found["hit"].to_dict() == {"q0": 1, "q1": 1, "q2": 1, "q3": 1, "q4": 0}, "q5 loses nothing, so it tells nothing"
    assert set(found["chance"]) == {0.25}
    (share,) = where.shares(found.reset_index(), 200, 0).to_dict("records")
    assert share["found"] == 80 and share["chance"] == 25 and share["n"] == 5


def test_half_slices_lie_in_the_event_too_and_a_question_without_an_event_is_left_out(tmp_path):
    rows = rows_of(0, [-90, -90, 0, -90], event=None)
    half = rows_of(1, [-60, -60, -60, -60, -60, 0, -60, -60])
    for row in half[1:]:
        row["start"], row["stop"] = row["start"] / 2, row["stop"] / 2
    cuts = where.cuts(write(tmp_path / "where.parquet", rows + half), ["m"], where.WHOLE)
    found = where.found_events(cuts)
    assert found["question_id"].tolist() == ["q1"] and found["hit"].tolist() == [1] and found["chance"].tolist() == [0.25]
    around = where.around(cuts[cuts["alone"].astype(bool)], 50, 0).set_index("seconds")["change"]
    assert around.index.tolist() == pytest.approx([-2.25, -1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25])
    assert around[0.25] == pytest.approx(0, abs=1e-3) and around[-0.25] == pytest.approx(-60, abs=1e-3)


def test_attention_by_token_has_its_shape(table):
    found = where.looks(table, ["m"], "q0")
    assert found["layer"].tolist() == [0, 1] and found["target"].tolist() == ["question"] * 2
    assert where.grid(found["values"][0], found["shape"][0]).tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert not len(where.looks(table, ["m"], "q1")) and "target" in where.looks(table, ["m"], "q1")
    assert where.grid(range(12), [3, 2, 2])[1].tolist() == [[4, 5], [6, 7]]


def test_the_first_right_question_of_each_task_is_shown(tmp_path):
    rows = rows_of(0, [0], right=False) + rows_of(1, [0]) + rows_of(2, [0]) + rows_of(3, [0], task="see")
    cuts = where.cuts(write(tmp_path / "where.parquet", rows), ["m"])
    assert where.examples(cuts, "m", ["q1", "q2", "q3"], 4) == ["q1", "q3"]
    assert where.examples(cuts, "m", ["q2", "q3"], 1) == ["q2"] and where.examples(cuts, "m", [], 4) == []


def test_the_claim_counts_events_that_are_found(table, tmp_path):
    tables = measures.Tables(tmp_path, {"m": 3}, {"video": "mini-video", "items": "i"}, 200, 0)
    claim = dict(claim="c", measure="found_at", source="audio.time", group="hear")
    value, low, high, n = measures.measured(tables, claim, "m")
    assert (value, n) == (80, 5) and low < value < high
    assert measures.measured(tables, {**claim, "target": "last"}, "m")[3] == 0
    assert measures.measured(tables, {**claim, "source": "video.time"}, "m")[3] == 0
    around = {**claim, "measure": "around_event", "seconds": [-0.5, 0.5]}
    near, without = (measures.measured(tables, {**around, **more}, "m") for more in ({}, {"alone": False}))
    assert near[0] == pytest.approx(-76 / 6, abs=1e-3) and near[1] < near[0] < near[2] and near[3] == 6
    assert without[0] == pytest.approx(-1, abs=1e-3)
    assert measures.measured(tables, {**around, "seconds": [-2, -2]}, "m")[0] == pytest.approx(-60, abs=1e-3)
    assert measures.measured(tables, {**around, "seconds": [5, 6]}, "m")[3] == 0
    empty = measures.Tables(tmp_path / "none", {"m": 3}, {"video": "mini-video", "items": "i"}, 200, 0)
    assert measures.measured(empty, claim, "m")[3] == 0


def test_what_is_shipped_gives_the_same_numbers(table, tmp_path):
    ship.write(ship.slim(pq.read_table(table), "where"), tmp_path / "shipped.parquet")
    one, other = (where.cuts(path, ["m"], where.WHOLE) for path in (table, tmp_path / "shipped.parquet"))
    assert one.drop(columns="change").equals(other.drop(columns="change"))
    assert other["change"].to_numpy() == pytest.approx(one["change"].to_numpy(), abs=0.05)
    assert not len(where.cuts(tmp_path / "shipped.parquet", ["m"], "centred")), "claims read no windows"
    assert set(pq.read_table(tmp_path / "shipped.parquet", columns=["control"])["control"].to_pylist()) == {"null", "none"}


def test_a_question_asked_twice_about_its_clip_counts_once(table):
    once = where.cuts(table, ["m"], where.WHOLE)
    twice = pd.concat([once, once.assign(question_id=once["question_id"] + "_again")], ignore_index=True)
    one, other = (where.shares(where.found_events(rows), 200, 0) for rows in (once, twice))
    assert one[["found", "ci_low", "ci_high"]].to_numpy() == pytest.approx(other[["found", "ci_low", "ci_high"]].to_numpy())
