"""Models of different depths are compared on one normalised depth."""

import pandas as pd

from avflow.results import effects, overview


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
