"""Free answers in the results: the change of the whole reply, and analyses of letters without them."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import answer

from avflow.results import answers, baseline, effects, explorer_data, free_answers, task_table
from avflow.tracing import row_schemas

LETTER = dict(logp_base=math.log(0.4), p_base_clean=0.8, answer="A", correct_clean=True)
FREE = dict(logp_base=math.log(0.9), p_base_clean=0.9, reply_tokens=3, logp_reply=math.log(0.1), logp_reply_clean=math.log(0.5))


@pytest.fixture
def table(tmp_path):
    """A letter that loses half of its probability, and a reply that loses four fifths, though its first token loses nothing."""
    rows = []
    for name, values in (("letter", LETTER), ("free", FREE | {"correct_clean": True})):
        row = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(question_id=name, cluster=name, dataset="d", model="m", task="t")
        row |= dict(group="g", layout="paper_eq1", style="bottom_up", width=3, cut="mask", applicable=True, **values)
        clean = {"logp_base": math.log(values["p_base_clean"])} | ({"logp_reply": math.log(0.4)} if name == "free" else {})
        rows.append(row | dict(control="null", route="none", style="centred", centre=-1, **clean))
        rows += [
            row | dict(control="none", route="audio->question", style=s, centre=c, draw=0)
            for s in ("centred", "bottom_up")
            for c in (4, 5)
        ]
    for row in rows:
        row |= dict(window_start=0, window_stop=row["centre"] + 1)
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "knockout_x.parquet")
    return tmp_path / "knockout_x.parquet"


def test_the_change_of_a_reply_is_that_of_all_its_tokens(table):
    found = effects.changes(table, {"m": 3}, "d").groupby("question_id")[["change", "noise"]].mean()
    assert found.loc["letter", "change"] == pytest.approx(-50, abs=1e-3)
    assert found.loc["free", "change"] == pytest.approx(-80, abs=1e-3)
    assert found.loc["letter", "noise"] == pytest.approx(0, abs=1e-3) and found.loc["free", "noise"] == pytest.approx(
        25, abs=1e-3
    )


def test_a_reply_of_many_improbable_tokens_has_a_change(table):
    rows = pq.read_table(table).to_pandas()
    rows[["logp_reply", "logp_reply_clean"]] = (-1000.0, -999.0)
    rows["reply_tokens"] = 200
    assert free_answers.change(rows).to_numpy() == pytest.approx(100 * (math.exp(-1) - 1))


def test_analyses_of_letters_leave_replies_out_and_say_how_many(table, capsys):
    kept = answers.answers_kept(table, ["m"], "d", 20, 0)
    assert set(kept["n"]) == {1} and set(kept["accuracy"]) == {1.0}
    assert "answers kept: 1 free questions are left out: they have no options" in capsys.readouterr().err
    blocks = explorer_data.read_blocks(table, "x", {"letter": "A", "free": "tone"})
    assert [list(block.questions) for block in blocks] == [["letter"]]
    assert effects.changes(table, {"m": 3}, "d", "logit_difference")["question_id"].unique().tolist() == ["letter"]


def test_tables_from_before_there_were_replies_are_read_as_before(table, tmp_path):
    old = pq.read_table(table)
    old = old.drop_columns([name for name in old.column_names if "reply" in name])
    pq.write_table(old, tmp_path / "old.parquet")
    found = effects.changes(tmp_path / "old.parquet", {"m": 3}, "d").set_index("question_id")
    assert found.loc["letter", "change"].tolist() == pytest.approx([-50, -50], abs=1e-3)
    assert free_answers.with_options(found, "x") is found


def test_accuracy_counts_given_answers_and_leaves_out_questions_without_one(tmp_path, capsys):
    free = dict(answer=None, says_letter=None, reply_tokens=3, **{f"logit_{x}": None for x in "ABCD"})
    rows = [answer(1, "t", "g", True), answer(2, "t", "g", False, **free), answer(3, "t", "g", None, **free)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "e.parquet")
    reported = tmp_path / "accuracy.csv"
    reported.write_text("dataset,level,task,group,model,accuracy,n,fps,prompt,source,note\n")
    (found,) = baseline.accuracies(tmp_path / "e.parquet", reported, 20, 0).to_dict("records")
    assert (found["n"], found["correct"], found["no_letter"]) == (2, 1, 0) and found["accuracy"] == 0.5
    assert found["chance"] == pytest.approx((0.25 + 0) / 2), "words cannot be guessed"
    assert "1 free questions are left out: they bring no answer that could be right" in capsys.readouterr().err


def test_an_example_shows_the_free_answer_in_brackets():
    from examples import free_question

    assert task_table.example(free_question()) == "Which sound is heard, and which shape is shown? [tone and circle]"
    assert task_table.example(free_question(None)) == "Which sound is heard, and which shape is shown?"
