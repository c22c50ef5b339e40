"""Orders of the prompt are compared on the same questions. Also tests avflow.figures.order_panels."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avflow.figures import order_panels
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
    assert found["accuracy"].eq(0.5).all() and found["n"].eq(2).all()
    deepest = found.loc[("reference_first", "A2I", "reference->last")]
    assert deepest["centre"] == 2 and deepest["change"] == pytest.approx(-80)
    assert found.loc[("paper_eq3", "all", "reference->last"), "change"] == pytest.approx(-50)
    assert np.isnan(found.loc[("paper_eq3", "all", "candidates->last"), "change"])


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
    assert titles == ["C, Q, R, O (Eq. 3)\naccuracy 50 %, chance", "R, C, Q, O\naccuracy 50 %, chance"]
