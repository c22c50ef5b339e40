"""Numbers about attention: shares, sinks, and flows between groups of tokens."""

import pytest
from table_rows import entry, written

from avflow.results import attention


def test_shares_are_averaged_over_heads_and_questions_and_the_jump_is_found(tmp_path):
    video = {0: [[0.1, 0.1], [0.1, 0.3]], 1: [[0.2, 0.2], [0.2, 0.2]], 2: [[0.7, 0.9], [0.9, 0.7]]}
    rows = [entry(i, "shares", heads, layer, "video") for layer, by in video.items() for i, heads in enumerate(by)]
    rows += [
        entry(i, "shares", [1 - h for h in heads], layer, "last") for layer, by in video.items() for i, heads in enumerate(by)
    ]
    table = attention.shares(written(tmp_path / "a.parquet", rows), ["m"], "d", 200, 0)
    assert table[table["name"] == "video"]["share"].tolist() == pytest.approx([0.15, 0.2, 0.8], abs=1e-6)
    assert table.groupby("layer")["share"].sum().tolist() == pytest.approx([1, 1, 1], abs=1e-6) and set(table["n"]) == {2}
    assert attention.map_layers(table) == {"m": [1, 2]} and attention.map_layers(table, {"m": [0, 2]}) == {"m": [0, 2]}


def test_sinks_are_counted_with_the_share_of_first_tokens(tmp_path):
    rows = []
    for i in (0, 1):
        rows += [entry(i, "tokens", [16], name="video", number=4), entry(i, "tokens", [14], name="system", number=0)]
        rows += [entry(i, "sink_dimensions", [], layer=0), entry(i, "sink_dimensions", [7] if i else [7, 9], layer=1)]
        rows += [entry(i, "sinks", [0], layer=1, name="system", number=0)]
    rows += [entry(1, "sinks", [20, 24, 28, 29], layer=1, name="video", number=3)]
    found = attention.sinks(written(tmp_path / "a.parquet", rows), ["m"], "d").set_index(["layer", "name"])
    assert found.loc[(0, "none"), "sinks"] == 0
    video = found.loc[(1, "video")]
    assert (video["sinks"], video["first"], video["expected_first"]) == (2, 0.75, 0.25)
    assert video["dimensions"] == "7: 1.00 9: 0.50" and found.loc[(1, "system"), "first"] == 0


def test_flows_sum_to_one_and_follow_the_cut(tmp_path):
    rows = [entry(0, "bins", [n, n + 1], name=name, number=n) for n, name in enumerate(("audio", "question", "last"))]
    squares = {"uncut": [[1, 0, 0], [0.6, 0.4, 0], [0.1, 0.7, 0.2]], "cut": [[1, 0, 0], [0, 1, 0], [0.3, 0.5, 0.2]]}
    rows += [entry(0, "map", line, 4, name, n) for name, square in squares.items() for n, line in enumerate(square)]
    path = written(tmp_path / "a.parquet", rows)
    flows = attention.flows(attention.rows_of(path, ["bins", "map"], ["m"], "d"))
    assert flows.groupby(["query", "variant"])["share"].sum().tolist() == pytest.approx([1] * 4, abs=1e-6)
    by = flows.set_index(["query", "name", "variant"])["share"]
    assert by["question", "audio", "uncut"] == pytest.approx(0.6) and by["question", "audio", "cut"] == 0
    assert by["last", "question", "cut"] == 0.5 and attention.changed_layer(flows, "m") == 4
