"""Patches beside cuts: whose answer is given, in which questions, and what a claim reads of it.

Also tests avflow.results.patch_measures.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import knockout_table

from avflow.results import claims, measures, patches
from avflow.tracing import row_schemas

ROUTE = "audio->question"


def row(question, direction, answer, control="none", centre=0, after=0.9, right=True, **more):
    """A row of a question that is A about its own clip and B about its partner's; its probability falls from 0.9 to `after`."""
    found = dict.fromkeys(row_schemas.RESAMPLE.names) | dict(question_id=question, cluster=question, dataset="d", model="m")
    found |= dict(task="t", group="hear", layout="paper_eq1", route=ROUTE, style="centred", width=3, cut="resample")
    found |= dict(control=control, centre=centre, applicable=True, direction=direction, answer=answer)
    return found | dict(p_base_clean=0.9, logp_base=float(np.log(after)), correct_clean=right) | more


def asked(question, follows, comes_back, given="A", **more):
    """One question at three centres; at the middle one its answer `follows` the patch, and `comes_back` in the other run."""
    uncut = {"control": "null", "centre": -1, "route": "none", "cut": "mask"}
    rows = [row(question, "corrupt", given, right=given == "A", **{**uncut, **more})]
    rows.append(row(question, "restore", "B", **{**uncut, **more}, right=False))
    for centre in range(3):
        here = centre == 1
        moved = {"answer": "B", "after": 0.009} if here and follows else {"answer": given}
        rows.append(row(question, "corrupt", centre=centre, right=given == "A", **{**moved, **more}))
        rows.append(row(question, "restore", "A" if here and comes_back else "B", centre=centre, right=False, **more))
    return rows


def written(path, rows):
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.RESAMPLE), path)
    return path


@pytest.fixture
def path(tmp_path):
    """Of three right answers, two follow the partner's sound and one comes back. A fourth answer is wrong without a patch."""
    rows = asked("q0", True, True) + asked("q1", True, False) + asked("q2", False, False) + asked("q3", True, True, given="C")
    return written(tmp_path / "resample.parquet", rows)


def means(rows):
    return {kind: of.groupby("centre")["change"].mean().round(4).tolist() for kind, of in rows.groupby("kind")}


def test_right_answers_count_and_each_kind_is_of_its_own_run(path):
    rows = patches.rows_of(path, ["m"], "d")
    assert set(rows["question_id"]) == {"q0", "q1", "q2"}, "q3 is answered wrongly before anything is patched"
    assert means(rows) == {"patch": [0, -66, 0], "follows": [0, 66.6667, 0], "returns": [0, 33.3333, 0]}
    assert not len(patches.rows_of(path, ["m"], "other")) and not len(patches.rows_of(path, ["other"], "d"))


def test_a_pair_with_one_answer_shows_a_change_but_not_whose_answer_is_given(tmp_path):
    alike = asked("q0", True, True) + [r | {"answer": "A"} for r in asked("q1", False, True)]
    rows = patches.rows_of(written(tmp_path / "r.parquet", alike), ["m"], "d")
    assert rows.groupby("kind")["question_id"].nunique().to_dict() == {"patch": 2, "follows": 1, "returns": 1}


def test_cuts_are_those_of_the_patched_questions_and_routes(path, tmp_path):
    cut = knockout_table(tmp_path / "k.parquet", {("hear", ROUTE): [-1.0, -70.0, -2.0], ("hear", "video->question"): [-9.0] * 3})
    rows = pd.concat([pd.read_parquet(cut).assign(question_id=name) for name in ("q0", "q2", "q3", "q9")])
    rows.to_parquet(cut)
    found = patches.beside_cuts(path, ["", cut, cut], {"m": 3}, "d")
    cuts = found[found["kind"] == "cut"]
    assert set(cuts["question_id"]) == {"q0", "q2"} and set(cuts["route"]) == {ROUTE} and len(cuts) == 6
    assert means(found)["cut"] == [-1, -70, -2]
    assert not len(patches.beside_cuts(path, [cut], {"m": 5}, "d").query("kind == 'cut'")), "cut in another width"
    table = patches.summary(found, "d", 100, 0).set_index(["kind", "centre"])
    assert table.loc["cut", "n"].tolist() == [2] * 3 and table.loc["patch", "n"].tolist() == [3] * 3
    assert table.loc[("follows", 1), ["value", "ci_high"]].tolist() == pytest.approx([66.6667, 100], abs=1e-3)


@pytest.mark.parametrize(
    ("asks", "value"),
    [
        ({"kind": "follows"}, 200 / 3),
        ({"kind": "returns"}, 100 / 3),
        ({"kind": "patch"}, -66),
        ({"kind": "follows", "layers": [2, 2]}, 0),
    ],
)
def test_a_claim_reads_the_window_where_a_patch_does_most(path, asks, value):
    tables = measures.Tables(path.parent, {"m": 3}, {"video": "d", "items": "i"}, 50, 0)
    tables.kept["layers"] = pd.Series({"m": 3})
    claim = {"claim": "c", "measure": "patched", "route": ROUTE, "group": "hear", "expected": "within -100 100", **asks}
    (found,) = claims.judge([claim], tables, 3).to_dict("records")
    assert found["value"] == pytest.approx(value, abs=1e-3) and (found["n"], found["verdict"]) == (3, "agree")
    for other in ({"route": "video->question"}, {"group": "see"}, {"data": "items"}):
        (found,) = claims.judge([{**claim, **other}], tables, 3).to_dict("records")
        assert (found["n"], found["verdict"]) == (0, "not testable")
