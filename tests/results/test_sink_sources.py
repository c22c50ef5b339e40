"""Norms of sinks beside others of their class, and the attention that they draw beside as many others.

Also tests avflow.results.sinks.
"""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import entry, written

from avflow.results import sinks
from avflow.tracing import row_schemas


def test_norms_of_sinks_stand_beside_those_of_other_tokens_of_the_same_class(tmp_path):
    rows = [entry(0, "bins", at, name=name, number=n) for n, (name, at) in enumerate((("system", [0, 2]), ("video", [2, 6])))]
    rows += [entry(0, "norms", [90, 1, 50, 3, 5, 4], layer) for layer in (1, 2)]
    rows += [
        entry(0, "sinks", [0], 1, "system", 0),
        entry(0, "sinks", [2], 1, "video", 1),
        entry(0, "sinks", [0], 2, "system", 0),
    ]
    rows += [entry(1, "sinks", [2], 1, "video", 1)]  # its norms are not kept
    found = sinks.norms(written(tmp_path / "a.parquet", rows), ["m"], "d").set_index(["layer", "name"])
    assert len(found) == 3 and found.loc[(1, "video"), ["sinks", "others", "tokens"]].tolist() == [50, 4, 1]
    assert found.loc[(2, "system"), ["sinks", "others"]].tolist() == [90, 1]
    assert not len(sinks.norms(tmp_path / "a.parquet", ["none"], "d"))


def test_places_of_sinks_are_tenths_of_the_tokens_of_their_class(tmp_path):
    rows = [entry(0, "bins", at, name="video", number=n) for n, at in enumerate(([2, 12], [20, 30]))]
    rows += [entry(0, "sinks", [2, 11, 20, 29], 1, "video", 2), entry(0, "sinks", [2], 2, "video", 1)]
    rows += [entry(1, "sinks", [2], 1, "video", 1)]  # its classes are not kept
    found = sinks.places(written(tmp_path / "a.parquet", rows), ["m"], "d")
    assert found[["layer", "tenth", "share", "tokens"]].values.tolist() == [
        [1, 0, 0.25, 1],
        [1, 4, 0.25, 1],
        [1, 5, 0.25, 1],
        [1, 9, 0.25, 1],
        [2, 0, 1, 1],
    ]
    assert not len(sinks.places(tmp_path / "a.parquet", ["none"], "d"))


def test_shares_of_attention_are_those_of_the_sinks_and_of_as_many_others_over_draws(tmp_path):
    base = dict(
        model="m", dataset="d", cut="mask", applicable=True, correct_clean=True, layout="paper_eq1", route="video_sinks->last"
    )
    rows = []
    for clip in range(3):
        for centre in (0, 1):
            for control, draw, mass in (("none", 0, 0.5 + 0.1 * clip), ("random_same", 0, 0.02), ("random_same", 1, 0.04)):
                told = dict(question_id=f"q{clip}", cluster=f"c{clip}", centre=centre, control=control, draw=draw)
                rows.append(base | told | dict(removed_mass=mass, n_blocked_edges=2))
    rows += [base | dict(question_id="q9", cluster="c9", centre=0, control="none", draw=0, removed_mass=0.0, correct_clean=False)]
    rows += [base | dict(question_id="q0", cluster="c0", centre=0, control="none", draw=0, removed_mass=0.0, cut="value_zero")]
    empty = dict.fromkeys(row_schemas.KNOCKOUT.names)
    pq.write_table(pa.Table.from_pylist([empty | row for row in rows], row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    found = sinks.shares(tmp_path / "k.parquet", ["m"], "d", 200, 0).set_index(["kind", "centre"])
    assert found.loc[("sinks", 0), ["n", "edges"]].tolist() == [3, 2] and found.loc[("sinks", 1), "share"] == pytest.approx(60)
    assert found.loc[("others", 0), "share"] == pytest.approx(3) and len(found) == 4
