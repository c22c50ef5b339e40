"""Models of different depths are compared on one normalised depth."""

import pandas as pd
import pyarrow.parquet as pq
from table_rows import knockout_table

from avflow.figures import overview_panels
from avflow.results import effects, overview
from avflow.tracing import row_schemas


def test_models_of_other_depths_meet_on_one_normalised_depth():
    rows = [
        dict(model=m, question_id="q", cluster="c", route="question->last", centre=c, change=-float(c))
        for m, depth in (("a", 12), ("b", 36))
        for c in range(depth)
    ]
    rows, none = pd.DataFrame(rows), pd.DataFrame(columns=["model", "route"])
    reading = effects.Reading("", draws=200)
    found = {n: effects.Effects(reading, rows if n == "figure_4" else none, none, none) for n in overview.FIGURES}
    table = overview.normalised(found, {"a": 12, "b": 36})
    assert table.groupby("model")["depth"].agg(["min", "max", "size"]).values.tolist() == [[0, 1, 12], [0, 1, 36]]
    assert table.set_index(["model", "centre"]).loc[("b", 35), "change"] == -35


def test_a_main_figure_that_the_study_has_not_is_left_out(tmp_path):
    cut = knockout_table(tmp_path / "k.parquet", {("I2A", "reference->last"): [0.0, -50.0]})
    pq.write_table(row_schemas.EVALUATE.empty_table(), tmp_path / "e.parquet")
    tables = {"figure_3": "", "figure_4": "", "figure_5": cut, "figure_6": ""}
    found = overview.read(tables, {"m": 3}, {"video": "d", "items": "d"}, {"evaluated": tmp_path / "e.parquet", "draws": 200})
    assert list(found) == ["figure_5"]
    table = overview.normalised(found, {"m": 2})
    assert set(table["figure"]) == {"figure_5"}
    shares = pd.DataFrame(columns=["model", "task", "group", "layer", "name", "share"])
    figure = overview_panels.model_panels(["m"], found, shares, table, {"figure_5": ["reference->last"]})
    assert [axis.get_title() for part in figure.subfigs[0].subfigs for axis in part.axes] == [
        "Fig. 1: attention of the last token",
        "Fig. 5: gathering in the reference",
    ]
