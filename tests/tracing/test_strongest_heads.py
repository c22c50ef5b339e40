"""Heads are ranked by one half of the clips and cut together in the other half, beside as many random ones."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avflow.tracing import row_schemas
from avflow.tracing.interventions import Route
from avflow.tracing.strongest_heads import RANDOM, first_half, ranking, units

ROUTE = Route.parse("question->last")


def row(clip, start, heads, change, group="hear", **more):
    given = dict(
        question_id=f"q{clip}", cluster=f"c{clip}", group=group, route=str(ROUTE), window_start=start, window_stop=start + 1
    )
    given |= dict(heads=heads, control="none", cut="mask", applicable=True, correct_clean=True, layout="paper_eq1")
    given |= dict(logp_base=math.log(0.5 * (1 + change)), p_base_clean=0.5)
    return dict.fromkeys(row_schemas.KNOCKOUT.names) | given | more


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), path)
    return path


@pytest.fixture
def tables(tmp_path):
    """Two shards of eight clips: head 1 of layer 1 loses most in every clip, but in one half head 0 of layer 0 loses all."""
    clips = range(8)
    chosen = first_half([row(clip, 0, "0", 0) for clip in clips], 0)
    rows = []
    for clip in clips:
        mine = f"c{clip}" in chosen
        rows += [
            row(clip, 0, "0", -0.1 if mine else -0.9),
            row(clip, 0, "1", 0.1),
            row(clip, 1, "0", -0.2),
            row(clip, 1, "1", -0.5),
        ]
        rows += [row(clip, 1, "all", -0.99), row(clip, 0, "0", -0.99, correct_clean=False)]
        rows += [row(clip, 0, "1", -0.99, control="random_other"), row(clip, 0, "1", -0.99, layout="question_first")]
    return [write(tmp_path / "0.parquet", rows[:30]), write(tmp_path / "1.parquet", rows[30:])], chosen


def test_only_one_half_of_the_clips_ranks(tables):
    paths, chosen = tables
    found = ranking(paths, 0)
    assert found.order == {str(ROUTE): [((1, 1),), ((1, 0),), ((0, 0),), ((0, 1),)]}
    assert len(chosen) == 4 and found.held_out == {f"q{clip}" for clip in range(8) if f"c{clip}" not in chosen}
    assert ranking(paths, 1).held_out != found.held_out, "the seed decides"


def test_both_halves_have_clips_of_every_group():
    rows = [row(clip, 0, "0", 0, group) for clip, group in enumerate(["hear"] * 5 + ["see"] * 4)]
    rows += [row(0, 0, "0", 0, "see", question_id="another question about the first clip")]
    chosen = first_half(rows, 3)
    assert len(chosen & {f"c{n}" for n in range(5)}) == 3 and len(chosen & {f"c{n}" for n in range(5, 9)}) == 2


def test_sets_grow_along_the_ranking_beside_as_many_random_units_and_end_with_all(tables):
    found = ranking(tables[0], 0)
    ks = found.knockouts(ROUTE, 2, [0.01, 0.25, 0.5, 1], 2, "q1", 0)
    strongest = [k for k in ks if k.control == "none"]
    assert [k.heads for k in strongest] == [((1, 1),), ((1, 0), (1, 1)), ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert [k.columns["heads"] for k in strongest] == ["1:1", "1:0,1", "0,1"]
    drawn = [k for k in ks if k.control == RANDOM]
    assert [(len(k.heads), k.draw) for k in drawn] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert ks == found.knockouts(ROUTE, 2, [0.25, 0.5], 2, "q1", 0)
    assert drawn != [k for k in found.knockouts(ROUTE, 2, [0.25, 0.5], 2, "q2", 0) if k.control == RANDOM]
    assert {k.target for k in ks} == {(ROUTE, "none", 0)}, "all cut the same edges"
    assert found.knockouts(Route.parse("audio->last"), 2, [0.5], 2, "q1", 0) == []


def test_units_are_heads_or_groups_that_share_a_key_value_head():
    assert units([3], 4, 2, "each") == [((3, 0),), ((3, 1),), ((3, 2),), ((3, 3),)]
    assert units([3, 4], 4, 2, "groups") == [((3, 0), (3, 1), (4, 0), (4, 1)), ((3, 2), (3, 3), (4, 2), (4, 3))]
