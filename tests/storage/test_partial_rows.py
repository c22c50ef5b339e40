"""Finished questions survive a kill, and a half-written file is never used as a result."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avflow.storage import partial_rows

SCHEMA = partial_rows.schema(question_id="string", value="float32", right="bool")
HEADER = {"code": "abc", "plan": {"width": 3}}


def table(i):
    return [
        {"question_id": f"q{i}", "value": i + 0.5, "right": i % 2 == 0},
        {"question_id": f"q{i}", "value": float("nan"), "right": False},
    ]


def fill(out, upto, header=HEADER):
    with partial_rows.PartialRows(out, header) as partial:
        for i in range(upto):
            if f"q{i}" not in partial.done:
                partial.add({f"q{i}": table(i)})
        return set(partial.done)


def test_rows_come_back_in_the_order_asked_with_their_metadata(tmp_path):
    out = tmp_path / "a" / "r.parquet"
    with partial_rows.PartialRows(out, HEADER) as partial:
        for i in (2, 0, 1):
            partial.add({f"q{i}": table(i)})
        partial.finish(["q0", "q1", "q2"], SCHEMA, {"device": "cpu"})
    read = pq.read_table(out)
    assert read.column("question_id").to_pylist() == ["q0", "q0", "q1", "q1", "q2", "q2"]
    assert read.column("value").to_pylist()[::2] == [0.5, 1.5, 2.5]
    assert partial_rows.read_metadata(out) == {"device": "cpu"}
    assert sorted(p.name for p in out.parent.iterdir()) == ["r.parquet", "r.parquet.partial"]
    out.unlink()
    with partial_rows.PartialRows(out, HEADER) as partial:
        assert partial.done == {"q0", "q1", "q2"}, "a rerun that changes nothing finds its rows"


def test_finished_questions_are_kept_by_the_next_run(tmp_path):
    assert fill(tmp_path / "r.parquet", 3) == {"q0", "q1", "q2"}
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0", "q1", "q2"}
        assert not (tmp_path / "r.parquet").exists()


@pytest.mark.parametrize("lost", [1, 7, 40])
def test_a_record_torn_by_a_kill_is_dropped_and_asked_again(tmp_path, lost):
    fill(tmp_path / "r.parquet", 3)
    side = tmp_path / "r.parquet.partial"
    side.write_bytes(side.read_bytes()[:-lost])
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0", "q1"}
    fill(tmp_path / "r.parquet", 3)
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0", "q1", "q2"}
        read = partial.finish(["q0", "q1", "q2"], SCHEMA, {})
    assert read.column("value").to_pylist()[::2] == [0.5, 1.5, 2.5]


def test_flipped_bytes_are_noticed(tmp_path):
    fill(tmp_path / "r.parquet", 3)
    side = tmp_path / "r.parquet.partial"
    data = bytearray(side.read_bytes())
    data[-20] ^= 0xFF
    side.write_bytes(data)
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0", "q1"}


def test_a_damaged_record_in_the_middle_costs_its_own_question_only(tmp_path, capsys):
    fill(tmp_path / "r.parquet", 4)
    side = tmp_path / "r.parquet.partial"
    data = bytearray(side.read_bytes())
    place = data.index(b"q1\0") + 200
    data[place] ^= 0xFF
    side.write_bytes(data)
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0", "q2", "q3"}
        assert "skipping 1 damaged records; their questions are computed again" in capsys.readouterr().err
    assert fill(tmp_path / "r.parquet", 4) == {"q0", "q1", "q2", "q3"}
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        read = partial.finish([f"q{i}" for i in range(4)], SCHEMA, {})
    assert read.column("value").to_pylist()[::2] == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.parametrize("lost", [1, 300])
def test_questions_asked_together_are_kept_together_or_not_at_all(tmp_path, lost):
    """Alone, a question's rows would differ by rounding from those that it has beside others."""
    fill(tmp_path / "r.parquet", 1)
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        partial.add({"q1": table(1), "q2": table(2)}, {"together": ["q1", "q2"]})
        assert partial.done == {"q0", "q1", "q2"} and partial.rows_of("q2")[0] == table(2)[0]
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0", "q1", "q2"} and partial.recall("together") == ["q1", "q2"]
    side = tmp_path / "r.parquet.partial"
    side.write_bytes(side.read_bytes()[:-lost])
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert partial.done == {"q0"} and partial.recall("together") is None


@pytest.mark.parametrize("header", [{**HEADER, "code": "other"}, {**HEADER, "plan": {"width": 5}}])
def test_other_code_or_parameters_discard_finished_rows(tmp_path, header):
    fill(tmp_path / "r.parquet", 3)
    with partial_rows.PartialRows(tmp_path / "r.parquet", header) as partial:
        assert partial.done == set()


def test_a_file_that_is_no_side_file_is_replaced(tmp_path):
    (tmp_path / "r.parquet.partial").write_bytes(b"something else")
    assert fill(tmp_path / "r.parquet", 1) == {"q0"}


def test_columns_are_those_of_the_schema_whatever_a_row_brings(tmp_path):
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        partial.add({"q": [{"right": True, "more": "dropped", "value": 1, "question_id": "q"}]})
        read = partial.finish(["q"], SCHEMA, {})
    assert read.schema.names == ["question_id", "value", "right"] and read.schema.types[1] == pa.float32()


def test_no_questions_make_an_empty_table(tmp_path):
    with partial_rows.PartialRows(tmp_path / "r.parquet", HEADER) as partial:
        assert len(partial.finish([], SCHEMA, {"n": 0})) == 0
    assert json.loads(pq.read_schema(tmp_path / "r.parquet").metadata[b"avflow"]) == {"n": 0}


def test_a_fact_is_remembered_over_kills_and_is_no_row(tmp_path):
    out = tmp_path / "r.parquet"
    with partial_rows.PartialRows(out, HEADER) as partial:
        assert partial.recall("batch plan") is None
        partial.remember("batch plan", {"rows": 8})
        partial.add({"q0": table(0)})
        partial.remember("batch plan", {"rows": 4})
    with partial_rows.PartialRows(out, HEADER) as partial:
        assert partial.recall("batch plan") == {"rows": 4} and partial.done == {"q0"}
        assert partial.finish(["q0"], SCHEMA, {}).num_rows == 2
