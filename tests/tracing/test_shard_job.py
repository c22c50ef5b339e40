"""Budgets of knockouts given by hand: each error is one line that names key and value."""

import argparse
import importlib.util

import pytest
from conftest import SCRIPTS

spec = importlib.util.spec_from_file_location("knockout_script", SCRIPTS / "knockout.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def test_budgets_are_read():
    text = '[{"routes": ["audio->last", "cross_frame"], "questions": 5, "widths": [1, 3], "controls": {"random_same": 2}}]'
    assert script.cuts(text)[0]["questions"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{routes", "is not JSON"),
        ('{"routes": ["audio->last"]}', "write a list of budgets"),
        ('[{"route": ["audio->last"]}]', "each with routes"),
        ('[{"routes": []}]', "routes is []; it must be a list of routes"),
        ('[{"routes": ["audio"]}]', "route 'audio' is not understood"),
        ('[{"routes": ["audio->last"], "question": 3}]', "key 'question' is unknown; known: routes, questions"),
        ('[{"routes": ["audio->last"], "questions": "everything"}]', "questions is 'everything'; it must be correct, wrong, all"),
        ('[{"routes": ["audio->last"], "questions": 0}]', "questions is 0"),
        ('[{"routes": ["audio->last"], "first": 0}]', "first is 0; it must be a number from 1"),
        (
            '[{"routes": ["audio->last"], "layouts": ["reversed"]}]',
            "it must be a list of default, original, eq3, reference_first",
        ),
        ('[{"routes": ["audio->last"], "stride": 0}]', "stride is 0; it must be a number from 1"),
        ('[{"routes": ["audio->last"], "styles": ["centered"]}]', "it must be a list of centred, inverse"),
        ('[{"routes": ["audio->last"], "controls": {"random_sme": 1}}]', "draws of random_same and random_other"),
        ('[{"routes": ["audio->last"], "controls": {"random_same": -1}}]', "draws of random_same and random_other"),
    ],
)
def test_a_mistake_in_a_budget_is_one_line(text, message):
    with pytest.raises(argparse.ArgumentTypeError) as found:
        script.cuts(text)
    assert message in str(found.value) and "\n" not in str(found.value)


def test_wrong_takes_only_wrongly_answered_questions(tmp_path, questions):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from avflow.questions.question import split_for_knockout, write_questions

    pool = split_for_knockout([q for q in questions.values() if q.task == "hear"], 6)
    write_questions(pool, tmp_path / "q.jsonl")
    answers = {"question_id": [q.question_id for q in pool], "correct": [not q.question_id.endswith(("2", "5")) for q in pool]}
    pq.write_table(pa.table(answers), tmp_path / "e.parquet")
    chosen = {}
    for which in ("wrong", "correct", "all", 2):
        given = argparse.Namespace(cuts=[{"routes": ["question->last"], "questions": which}], questions=tmp_path / "q.jsonl")
        given.evaluate = tmp_path / "e.parquet"
        chosen[which] = [q.question_id[-1] for q in script.Asked(given).choose(pool)]
    assert chosen == {"wrong": ["2", "5"], "correct": ["1", "3", "4", "6"], "all": list("123456"), 2: ["1"]}


def test_a_budget_with_layouts_cuts_the_first_questions_in_every_order(tmp_path, questions):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from avflow.questions.question import split_for_knockout, write_questions

    pool = split_for_knockout([q for q in questions.values() if q.setting == "items"], 6)
    write_questions(pool, tmp_path / "q.jsonl")
    wrong = {q.question_id for q in pool if q.question_id.endswith("1")}
    answers = {"question_id": [q.question_id for q in pool], "correct": [q.question_id not in wrong for q in pool]}
    pq.write_table(pa.table(answers), tmp_path / "e.parquet")
    budgets = [
        {"routes": ["question->last"], "stride": 4},
        {"routes": ["reference->last"], "stride": 4, "layouts": ["default", "question_first"], "questions": "all", "first": 2},
    ]
    arguments = argparse.Namespace(cuts=budgets, questions=tmp_path / "q.jsonl", evaluate=tmp_path / "e.parquet", width=3)
    asked = script.Asked(arguments)
    cut = {
        q.question_id.rpartition("_")[2]: {name: {str(k.route) for k in ks} for name, ks in asked.knockouts(12, q).items()}
        for q in pool
        if q.task == "audio-to-image"
    }
    both = {"question->last", "reference->last"}
    assert cut["0001"] == {"default": {"reference->last"}, "question_first": {"reference->last"}}, "wrong, but among the first"
    assert cut["0002"] == {"default": both, "question_first": {"reference->last"}}
    assert all(cut[f"000{n}"] == {"default": {"question->last"}} for n in (3, 4, 5, 6))
    assert asked.choose(pool) == pool
