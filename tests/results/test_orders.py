"""Orders of the prompt are compared on the same questions. Also tests avflow.figures.order_panels."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import ITEMS, items

from avflow.figures import order_panels, route_panels
from avflow.questions import layouts
from avflow.results import effects, orders
from avflow.tracing import row_schemas

ROUTES = {
    "items": ["candidates->reference", "reference->last", "candidates->last", "question->last", "options->last"],
    "clips": [],
}


def cut(i, layout, route="reference->last", centre=0, after=0.5, control="none", **more):
    row = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(question_id=f"q{i}", dataset="mini-items", cluster=f"c{i}", model="m")
    row |= dict(
        group="A2I", task="t", layout=layout, route=route, style="centred", width=3, centre=centre, cut="mask", control=control
    )
    row |= dict(logp_base=float(np.log(after)), p_base_clean=1.0, correct_clean=i == 0, applicable=True)
    return row | more


@pytest.fixture
def asked_in_orders(tmp_path):
    """Two questions in two orders, the second answered wrongly, and a third in the default order only."""
    rows = []
    for layout, depth in (("paper_eq3", 0.5), ("reference_first", 0.2)):
        for i in (0, 1):
            rows.append(cut(i, layout, None, None, 1.0, "null", style=None, width=None))
            rows += [cut(i, layout, centre=c, after=depth if c == 2 else 1.0) for c in range(4)]
    rows += [cut(2, "paper_eq3", centre=c, after=0.9) for c in range(4)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    return tmp_path / "k.parquet"


def test_orders_are_compared_on_the_questions_that_were_asked_in_several(asked_in_orders):
    rows = orders.rows_by_order(asked_in_orders, {"m": 3}, "mini-items")
    assert set(rows["question_id"]) == {"q0", "q1"} and orders.orders_of(rows) == ["paper_eq3", "reference_first"]
    found = orders.summary(rows, ["reference->last", "candidates->last"], 200, 0).set_index(["layout", "group", "route"])
    assert found["accuracy"].eq(0.5).all() and found["n"].eq(2).all() and found["n_asked"].eq(3).all()
    deepest = found.loc[("reference_first", "A2I", "reference->last")]
    assert deepest["centre"] == 2 and deepest["change"] == pytest.approx(-80)
    assert found.loc[("paper_eq3", "all", "reference->last"), "change"] == pytest.approx(-50)
    assert np.isnan(found.loc[("paper_eq3", "all", "candidates->last"), "change"])
    assert found["n_cut"].xs("reference->last", level="route").eq([2, 2, 2, 2]).all()
    assert found["n_cut"].xs("candidates->last", level="route").eq(0).all()
    one = orders.of_order(rows, "paper_eq3", ["reference->last", "candidates->last"], effects.Reading(""))
    assert one.cut_in(["reference->last", "candidates->last"]) == {"reference->last": (2, 2), "candidates->last": (0, 2)}


def test_the_other_figures_show_the_default_order_only(asked_in_orders):
    rows = effects.relative_change(asked_in_orders, {"m": 3}, "mini-items")
    assert len(rows) == 4 and rows["change"].min() == pytest.approx(-50), "of the question that is answered correctly"
    assert effects.relative_change("", {"m": 3}, "mini-items").empty, "a study without the analysis"
    assert all(name not in layouts.NAMES for name in ("paper_eq1", "paper_eq3", "own"))


def test_an_order_at_chance_says_so(asked_in_orders):
    rows = orders.rows_by_order(asked_in_orders, {"m": 3}, "mini-items")
    table = orders.summary(rows, ROUTES["items"], 200, 0)
    figure = order_panels.order_panels(["m"], rows, rows.iloc[:0], table, ROUTES, 0.25, 200, 0)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == [f"{order}\naccuracy 50 %, chance\n2 of 3 questions" for order in ("C, Q, R, O (Eq. 3)", "R, C, Q, O")]


def test_a_panels_title_has_the_accuracy_in_its_own_order(asked_in_orders):
    rows = orders.rows_by_order(asked_in_orders, {"m": 3}, "mini-items")
    table = orders.summary(rows, ROUTES["items"], 200, 0)
    better = (table["layout"] == "reference_first") & (table["group"] == "all")
    table.loc[better, ["accuracy", "accuracy_low", "accuracy_high"]] = 0.9
    figure = order_panels.order_panels(["m"], rows, rows.iloc[:0], table, ROUTES, 0.25, 200, 0)
    titles = [axis.get_title().split("\n")[1] for axis in figure.axes if axis.get_title()]
    assert titles == ["accuracy 50 %, chance", "accuracy 90 %"]


def test_an_order_that_some_questions_had_from_the_start_is_one_order(tmp_path):
    """Questions with tags are brought into the order of Eq. 3, and those without stand in it."""
    rows = [cut(0, name, None, None, 1.0, "null", style=None, width=None) for name in ("as_shipped", "eq3", "question_first")]
    rows += [cut(1, name, None, None, 1.0, "null", style=None, width=None) for name in ("paper_eq3", "question_first")]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    found = orders.rows_by_order(tmp_path / "k.parquet", {"m": 3}, "mini-items")
    assert found.groupby("layout")["question_id"].nunique().to_dict() == {"as_shipped": 1, "paper_eq3": 2, "question_first": 2}


@pytest.fixture
def templates(tmp_path):
    """Three questions: two as shipped, in the order of Eq. 3 and with the reference first, and one whose question is unknown."""
    reach, read = "candidates->reference", "reference->last"
    rows = []
    for i, (layout, after) in enumerate((("as_shipped", 0.6), ("as_shipped", 0.9), ("paper_eq3", 0.4))):
        about = dict(needs="AV", p_base_clean=1.0, correct_clean=True)
        rows.append(cut(i, layout, None, None, 1.0, "null", style=None, width=None, **about))
        rows += [cut(i, layout, read, c, 0.5, **about) for c in range(3)]
        rows += [cut(i, layout, reach, c, after, **about, applicable=i != 1) for c in range(3)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    blank = dict.fromkeys(row_schemas.EVALUATE.names)
    asked = dict(dataset="mini-items", model="m", group="A2I", task="t", study_split="knockout", correct=True)
    answers = [blank | asked | dict(question_id=f"q{i}") for i in range(3)]
    pq.write_table(pa.Table.from_pylist(answers, row_schemas.EVALUATE), tmp_path / "e.parquet")
    reading = {"evaluated": str(tmp_path / "e.parquet"), "draws": 100}
    run = "[img1], [img2], [img3], or [img4]"
    texts = (f"Which bird in {run} sings in [audio1]?", f"Judging by [audio1], which bird among {run} is it?")
    words = [f"{letter}. the {n} image" for letter, n in zip("ABCD", ("third", "first", "fourth", "second"))]
    shared = dict(options=words, image_path=ITEMS["audio_path"], audio_path=ITEMS["image_path"])
    questions = [replace(items(question=text, **shared), question_id=f"q{i}") for i, text in enumerate(texts)]
    return effects.read(tmp_path / "k.parquet", {"m": 3}, "mini-items", reading), questions


def test_a_route_that_an_order_makes_impossible_is_counted_and_never_averaged(templates):
    found, _ = templates
    assert found.cut_in(["candidates->reference", "reference->last"]) == {
        "candidates->reference": (2, 3),
        "reference->last": (3, 3),
    }
    curve = found.curves(["candidates->reference"])["candidates->reference"]
    assert curve.n == 2 and curve.mean == pytest.approx([-50] * 3, abs=1e-4), "the mean of -40 and -60, without the impossible"
    assert found.impossible["question_id"].tolist() == ["q1"] and found.of(group="I2A").cut_in(["reference->last"]) == {}


def test_questions_in_the_order_of_equation_3_are_shown_alone_where_others_are_among_them(templates):
    found, questions = templates
    parts = orders.by_template(found, questions)
    assert list(parts) == ["all orders", "in Eq. 3's order"]
    alone = parts["in Eq. 3's order"]
    assert set(alone.rows["question_id"]) == {"q0", "q2"} and alone.counts == "n = 2 (2 of 2 right)"
    assert alone.cut_in(["candidates->reference"]) == {"candidates->reference": (2, 2)}
    assert list(orders.by_template(alone, questions)) == [""], "all of them are"
    assert list(orders.by_template(found.among(["q1"]), questions)) == [""], "none of them is"


def test_panels_say_in_how_many_questions_each_route_was_cut(templates):
    found, questions = templates
    routes = ["candidates->reference", "reference->last"]
    figure = route_panels.route_panels(found, ["m"], [("A", "A2I", routes)], parts=orders.by_template(found, questions))
    every, alone = figure.axes
    assert [axis.get_ylabel().split("\n")[0] for axis in figure.axes] == ["all orders", "in Eq. 3's order"]
    first, *numbers = every.texts
    assert first.get_text().startswith("too few (n = 3; 3 of 3 right)")
    assert "".join(text.get_text() for text in numbers) == "routes: n = 2, 3 of 3"
    lines = {line.get_color() for line in every.lines}
    assert {numbers[1].get_color(), numbers[3].get_color()} <= lines and numbers[1].get_color() != numbers[3].get_color()
    assert [text.get_text() for text in alone.texts[1:]] == ["each route: n = 2 of 2"]


def test_without_questions_in_several_orders_the_summary_is_empty_and_has_its_columns():
    rows = orders.rows_by_order("", {"m": 3}, "d")
    table = orders.summary(rows, ["audio->last"], 100, 0)
    assert len(table) == 0 and {"model", "layout", "group", "accuracy", "n_cut"} <= set(table.columns)
