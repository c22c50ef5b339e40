"""Panels of routes."""

import pyarrow.parquet as pq
from conftest import script

from avflow.results import effects
from avflow.tracing import row_schemas


def test_a_model_without_wrong_answers_has_an_empty_figure_and_no_error(tmp_path):
    from avflow.figures.route_panels import route_panels

    shard = tmp_path / "shard.parquet"
    pq.write_table(row_schemas.KNOCKOUT.empty_table(), shard)
    refused = script("gather", shard, "--out", tmp_path / "k.parquet", check=False)
    assert refused.returncode == 2 and "none of 1 shards has a row" in refused.stderr
    script("gather", shard, "--may-be-empty", "--out", tmp_path / "k.parquet")
    pq.write_table(row_schemas.EVALUATE.empty_table(), tmp_path / "e.parquet")
    found = effects.read(tmp_path / "k.parquet", {"m": 3}, "d", {"evaluated": tmp_path / "e.parquet"}, answered="wrong")
    figure = route_panels(found, ["m"], [("", "", ["audio->last"])])
    assert any(text.get_text() == "no rows" for text in figure.axes[0].texts)
