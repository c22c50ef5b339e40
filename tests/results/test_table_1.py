"""Table 1: accuracy with masked routes, on the same questions in every setting."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import ROOT

from avflow.results import published, statistics, table_1
from avflow.tracing import row_schemas


def test_table_1_pairs_every_setting_with_the_same_questions(tmp_path):
    def row(i, name, correct, model="qwen2.5-omni-3b"):
        empty = dict.fromkeys(row_schemas.ATTENTION.names)
        asked = dict(question_id=f"q{i}", cluster=f"c{i}", dataset="av_speakerbench", model=model)
        said = {
            "group": "g",
            "name": name,
            "layer": 31,
            "correct": correct,
            "values": [math.log(0.25 if name == "video->text" else 0.5)],
        }
        return {**empty, **asked, "kind": "masked", **said}

    right = {"none": [1, 1, 0, 0], "video->last": [1, 1, 1, 0], "video->text": [1, 0, 0, 0]}
    rows = [row(i, name, bool(c)) for name, answers in right.items() for i, c in enumerate(answers)]
    pq.write_table(pa.Table.from_pylist([*rows, row(0, "none", True, "other")], row_schemas.ATTENTION), tmp_path / "a.parquet")
    numbers = published.read(ROOT / "resources/published/masking.csv", "setting", "accuracy", *published.CONDITIONS)
    asked = {"av_speakerbench": {"prompt": "the benchmark's", "fps": {"qwen2.5-omni-3b": 2, "other": 2}}}
    table = table_1.masking_table(tmp_path / "a.parquet", "av_speakerbench", numbers, 500, 0, asked)
    table = table.set_index(["model", "setting"])
    one = table.loc["qwen2.5-omni-3b"]
    assert (
        one["accuracy"].tolist() == [50, 75, 25] and one["change"].tolist()[1:] == [25, -25] and math.isnan(one["change"].iloc[0])
    )
    low, high = statistics.paired_score_interval(0, 1, 4)
    assert one["ci_low"].iloc[1] <= 100 * low + 1e-6 and one["ci_high"].iloc[1] >= 100 * high - 1e-6, (
        "one pair of four proves little"
    )
    assert one["ci_low"].iloc[2] <= 1e-6 - 100 * high and one["ci_high"].iloc[2] >= -100 * low - 1e-6
    assert one["published"].tolist() == [42.24, 42.24, 42.31] and one["published_change"].round(2).tolist() == [0, 0, 0.07]
    assert one["probability"].round(4).tolist() == [50, 50, 25] and one["n"].tolist() == [4, 4, 4]
    assert set(one["published_source"]) == {"arXiv 2606.10147, Table 1"}
    assert set(one["published_conditions"]) == {"fps and prompt not stated (here 2 fps, the benchmark's prompt)"}
    others = table.loc["other", ["published", "published_conditions"]]
    assert others.isna().all(axis=None), "the paper's numbers are of one model"


def test_the_positive_control_has_a_row_per_group_and_its_own_base(tmp_path):
    def row(i, kind, name, correct):
        said = {"group": f"g{i % 2}", "kind": kind, "name": name, "layer": 12 if kind == "masked_early" else 31}
        asked = dict(question_id=f"q{i}", cluster=f"c{i}", dataset="d", model="m", correct=correct, values=[0.0])
        return {**dict.fromkeys(row_schemas.ATTENTION.names), **asked, **said}

    rows = [row(i, kind, "none", True) for i in range(8) for kind in ("masked", "masked_early")]
    rows += [row(i, "masked", "audio->text", True) for i in range(8)]
    rows += [row(i, "masked_early", "audio->text", i % 2 == 0) for i in range(8)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.ATTENTION), tmp_path / "a.parquet")
    numbers = published.read(ROOT / "resources/published/masking.csv", "setting", "accuracy", *published.CONDITIONS)
    table = table_1.masking_table(tmp_path / "a.parquet", "d", numbers, 50, 0)
    masked = table[table["setting"] == "audio->text"].set_index(["part", "group"])
    assert masked["change"].to_dict() == {("late", "all"): 0, ("early", "all"): -50, ("early", "g0"): 0, ("early", "g1"): -100}
    assert masked["first_layer"].tolist() == [31, 12, 12, 12] and masked["n"].tolist() == [8, 8, 4, 4]
