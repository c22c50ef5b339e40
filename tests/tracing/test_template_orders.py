"""Questions as a benchmark words them: what an order makes impossible is not applicable, and what has no sense is not asked.

Also tests avflow.questions.template_order and knockout.py.
"""

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import UNIONS
from examples import ITEMS, encoded, items

import knockout as knockout_script
from avflow.questions import split_for_knockout, template_order, write_questions
from avflow.tracing import Knockout, Route, knockout, windows

RUN = "[img1], [img2], [img3], or [img4]"
TEMPLATES = {
    "in_order": f"Which bird in {RUN} sings in [audio1]?",
    "reference_first": f"Judging by [audio1], which bird among {RUN} is it?",
    "refused": "Which fits [audio1]: (A) [img1] (B) [img2] (C) [img3] (D) [img4]?",
}
PARTS = ("candidates", "reference", "question_text", "options", "instruction", "last")


def template(name: str):
    words = [f"{letter}. the {n} image" for letter, n in zip("ABCD", ("third", "first", "fourth", "second"))]
    paths = dict(image_path=ITEMS["audio_path"], audio_path=ITEMS["image_path"])
    return items(question=TEMPLATES[name], options=words, question_id=name, **paths)


@pytest.mark.parametrize(
    ("name", "impossible"),
    [("in_order", {"reference->candidates"}), ("reference_first", {"candidates->reference"})],
)
def test_a_route_is_not_applicable_where_no_target_stands_behind_a_source(model, name, impossible):
    question = template(name)
    sequence = model.sequence(question, encoded(model, question), UNIONS["items"])
    spans = sequence.spans
    routes = [f"{a}->{b}" for a in PARTS for b in PARTS if a != b and a != "last"]
    counts = {route: Route.parse(route).edges(spans).count for route in routes}
    for route, count in counts.items():
        source, target = (spans[end] for end in route.split("->"))
        assert count == sum(int((source < t).sum()) for t in target), route
    media = {route for route in counts if set(route.split("->")) <= {"candidates", "reference"}}
    assert {route for route in media if not counts[route]} == impossible
    assert template_order.in_eq3_order(question) == (counts["candidates->reference"] > 0)
    cuts = [Knockout(Route.parse(route), windows(12, 3)[5]) for route in sorted(media)]
    _, *rows = knockout.rows(model, sequence, cuts, knockout.plan(model))
    assert {row["route"] for row in rows if not row["applicable"]} == impossible


def test_the_spans_hold_their_words_wherever_they_stand(model):
    question = template("reference_first")
    sequence = model.sequence(question, encoded(model, question), UNIONS["items"])
    words = model.tokenizer.decode(sequence.ids[sequence.spans["question_text"]])
    assert words.split() == ["Judging", "by", ",", "which", "bird", "among", ",", ",", ",", "or", "is", "it?"]
    place = sequence.spans
    assert place["reference"].max() < place["candidates"].min() and place["candidates"].max() < place["options"].min()
    assert int((place["question_text"] < place["reference"].min()).sum()) > 0, "words stand before the reference"


def asked(tmp_path, budgets: list[dict]):
    found = split_for_knockout([template(name) for name in TEMPLATES], 3)
    write_questions(found, tmp_path / "q.jsonl")
    ids = [q.question_id for q in found]
    pq.write_table(pa.table({"question_id": ids, "correct": [True] * len(ids)}), tmp_path / "e.parquet")
    paths = dict(questions=tmp_path / "q.jsonl", evaluate=tmp_path / "e.parquet", shard=0, shards=1)
    cuts = knockout_script.cuts(json.dumps(budgets))
    return knockout_script.Asked(SimpleNamespace(**paths, cuts=cuts, width=3)), {q.question_id.split("__")[1]: q for q in found}


def test_a_question_is_left_out_of_orders_in_which_its_sentence_has_no_sense(tmp_path):
    budget = {"routes": ["reference->last"], "layouts": ["default", "original", "eq3", "reference_first"], "stride": 6}
    work, found = asked(tmp_path, [budget])
    orders = {name: list(work.knockouts(12, question)) for name, question in found.items()}
    assert orders["in_order"] == orders["reference_first"] == ["default", "eq3", "reference_first"]
    assert orders["refused"] == ["default"]
    nulls = [key[0] for key, (_, cut) in work.rows(12, found["in_order"], (4, 2)).items() if cut is None]
    assert nulls == ["as_shipped", "eq3", "reference_first"]
    left_out = work.left_out()
    assert {name: list(some) for name, some in left_out.items()} == {
        "eq3": ["mini_items__refused"],
        "reference_first": ["mini_items__refused"],
    }
    assert "a tag stands behind a label of its own" in left_out["eq3"]["mini_items__refused"]


def test_a_question_that_fits_none_of_the_orders_is_not_asked_at_all(tmp_path):
    work, found = asked(tmp_path, [{"routes": ["reference->last"], "layouts": ["question_first"]}])
    assert [q.question_id for q in work.choose(found.values())] == ["mini_items__in_order", "mini_items__reference_first"]
    assert list(work.left_out()) == ["question_first"]
