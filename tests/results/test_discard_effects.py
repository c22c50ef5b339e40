"""Accuracy by the layer after which tokens leave, and against the work that is saved."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avflow.results import discard_effects
from avflow.tracing import row_schemas


def asked(schema, i, discard, correct, **more):
    row = dict.fromkeys(schema.names) | dict(question_id=f"q{i}", cluster=f"c{i}", dataset="d", model="m")
    return row | dict(discard=discard, control="none", draw=0, correct=correct) | more


@pytest.fixture
def swept(tmp_path):
    """Four questions, all right without discards; without sound none is right after layer 0, three after 1, all after 2 and 3."""
    row = lambda *given, **more: asked(row_schemas.DISCARD_SWEEP, *given, **more)  # noqa: E731
    rows = [row(i, "none", True, control="null") for i in range(4)]
    for layer, right in enumerate((0, 3, 4, 4)):
        rows += [row(i, "Audio", i < right, layer=layer) for i in range(4)]
        rows += [
            row(i, "Audio", i < n, layer=layer, control="random", draw=draw) for draw, n in enumerate((2, 4)) for i in range(4)
        ]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.DISCARD_SWEEP), tmp_path / "s.parquet")
    return tmp_path / "s.parquet"


def test_the_knee_is_the_first_layer_from_which_nothing_more_is_lost_than_the_margin(swept):
    table = discard_effects.by_layer(swept, ["m"], ["d"], 2.0, 200, 0).set_index("layer")
    assert table["accuracy"].tolist() == [0, 75, 100, 100] and table["change"].tolist() == [-100, -25, 0, 0]
    assert set(table["knee"]) == {2} and set(table["accuracy_before"]) == {100}
    assert table[["random", "random_min", "random_max"]].drop_duplicates().values.tolist() == [[75, 50, 100]]
    assert not table["non_inferior"].any(), "four answers do not show that less than two points are lost"
    assert set(discard_effects.by_layer(swept, ["m"], ["d"], 30.0, 200, 0)["knee"]) == {1}
    assert set(discard_effects.by_layer(swept, ["m"], ["d"], 100.0, 200, 0)["knee"]) == {0}


def test_the_work_saved_is_that_of_the_same_questions(tmp_path):
    row = lambda *given, **more: asked(row_schemas.PRUNING, *given, **more)  # noqa: E731
    rows = [row(i, "none", True, flops_llm=100.0, kv_bytes=10, prefill_ms=80.0 if i else 8.0) for i in range(2)]
    rows += [row(i, "Video", i == 0, flops_llm=25.0, kv_bytes=4, prefill_ms=None if i else 6.0) for i in range(2)]
    rows += [row(i, "random", draw == 0, flops_llm=50.0, kv_bytes=5, draw=draw) for i in range(2) for draw in range(2)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.PRUNING), tmp_path / "p.parquet")
    table = discard_effects.trade(tmp_path / "p.parquet", ["m"], ["d"], 2.0, 200, 0).set_index("discard")
    video, random = table.loc["Video"], table.loc["random"]
    assert (video["flops_saved"], video["kv_saved"], video["prefill_saved"], video["change"]) == (75, 60, 25, -50), (
        "of those timed in both"
    )
    assert (random["change"], random["n"]) == (-50, 2), "both draws together, two questions"


def test_kinds_stand_in_the_papers_order_with_all_of_them_last():
    found = pd.Series(["none", "All", "Video", "mine", "FastV-50", "VTW", "random", "Ques", "vision"])
    assert discard_effects.kinds_of(found) == ["Ques", "Video", "mine", "All"]
