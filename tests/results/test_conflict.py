"""Whose answer wins among known pairs, and how far cuts and patches move the preference."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ship
from avflow.results import conflict
from avflow.tracing import row_schemas

ROUTES = ("audio->question", "video->question")


def rows_of(clip, answer, needs=("A", "A"), known=True, model="m", group="hear"):
    """A pair whose own answer is A and whose partner's is B: the null row, and cuts and patches at two centres."""
    own = dict(question_id=f"q{clip}", cluster=f"c{clip}", model=model, dataset="d", task=group, group=group, needs=needs[0])
    own |= dict(
        layout="paper_eq1", gold="A", partner_answer="B", partner_needs=needs[1], known=known, applicable=True, width=3, draw=0
    )
    own |= dict(logp_gold_clean=-4.0, logp_partner_clean=-1.0, margin_clean=-3.0)
    found = [dict(control="null", cut="mask", route="none", centre=-1, answer=answer, logp_gold=-4.0, logp_partner=-1.0)]
    for route in ROUTES:
        for centre in (0, 1):
            for cut in ("mask", "resample"):
                moved = (centre + 1.0) * (route == ROUTES[0]) * (1 if cut == "mask" else 2)
                scores = dict(logp_gold=-4.0 + moved, logp_partner=-1.0, answer="A")
                found.append(dict(control="none", cut=cut, route=route, centre=centre, **scores))
    return [dict.fromkeys(row_schemas.CONFLICT.names) | own | row for row in found]


@pytest.fixture
def table(tmp_path):
    rows = [row for clip, answer in enumerate("BBBA") for row in rows_of(clip, answer)]
    rows += rows_of(4, "C") + rows_of(5, "A", known=False) + rows_of(6, "A", model="other")
    rows += rows_of(7, "B", ("V", "A"), group="either-50") + rows_of(8, "A", ("A", "V"), group="either-50")
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.CONFLICT), tmp_path / "c.parquet")
    return tmp_path / "c.parquet"


def test_winners_are_counted_among_known_pairs(table):
    found = conflict.winners(table, ["m"], 200, 0).set_index(["group", "kind"])
    hear = found.loc[("hear", "all")]
    assert (hear["asked"], hear["n"], hear["heard"], hear["seen"], hear["other"]) == (6, 5, 60, 20, 20)
    assert hear["heard_low"] < 60 < hear["heard_high"] and hear["preference"] == 3 and hear["needs_audio"] == 1
    assert found.loc[("hear", "both"), "n"] == 0
    both = found.loc[("either-50", "both")]
    assert (both["n"], both["heard"], found.loc[("either-50", "all"), "heard"]) == (1, 100, 50)
    assert both["heard_low"] < 30 and both["seen_high"] > 70, "one of one is no proof"


def test_what_is_shipped_gives_the_same_numbers(table, tmp_path):
    ship.write(ship.slim(pq.read_table(table), "conflict"), tmp_path / "shipped.parquet")
    one, other = (conflict.winners(path, ["m"], 50, 0) for path in (table, tmp_path / "shipped.parquet"))
    assert one.equals(other)
    one, other = (conflict.changes(path, ["m"], None, "resample") for path in (table, tmp_path / "shipped.parquet"))
    assert one["change"].tolist() == other["change"].tolist()
    assert "removed_mass" in ship.slim(pq.read_table(table), "knockout_sinks").column_names


@pytest.mark.parametrize("cut, least", [("mask", -2), ("resample", -4)])
def test_the_preference_moves_as_the_cut_says_and_unknown_pairs_do_not_count(table, cut, least):
    rows = conflict.changes(table, ["m"], ["d"], cut)
    assert set(rows["question_id"]) == {"q0", "q1", "q2", "q3", "q4", "q7", "q8"} and (rows["noise"] == 0).all()
    of = rows.groupby(["route", "centre"])["change"].mean()
    assert of[ROUTES[0], 1] == least and of[ROUTES[0], 0] == least / 2 and of[ROUTES[1], 1] == 0
    assert not len(conflict.changes(table, ["m"], ["other"], cut))
    curve = conflict.effects(table, ["m"], 200, 0, cut).of(group="hear").curves([ROUTES[0]])[ROUTES[0]]
    assert curve.mean.tolist() == [least / 2, least] and curve.n == 5
