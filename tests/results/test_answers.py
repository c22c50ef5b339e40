"""Probabilities of the right and wrong letters by layer, and accuracy under cumulative cuts."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import entry, written

from avflow.results import answers
from avflow.tracing import row_schemas


def test_the_right_letter_is_told_from_the_wrong_ones(tmp_path):
    lens = [[0.25, 0.25, 0.25, 0.25], [0.1, 0.7, 0.1, 0.1]]
    rows = [entry(0, "lens", [math.log(p) for p in one], layer) for layer, one in enumerate(lens)]
    rows += [entry(1, "lens", [-9.0, -9.0, -9.0, -9.0], layer, correct_clean=False) for layer in (0, 1)]
    table = answers.by_layer(written(tmp_path / "a.parquet", rows), ["m"], ["d"], 200, 0)
    by = table.set_index(["layer", "kind"])["probability"]
    assert by[1, "correct"] == pytest.approx(0.7, abs=1e-6) and by[1, "wrong"] == pytest.approx(0.1, abs=1e-6)
    assert by[0, "correct"] == pytest.approx(0.25, abs=1e-6) and set(table["n"]) == {1}, "wrong answers are left out"


def test_the_right_option_is_found_by_its_place_whatever_its_label(tmp_path):
    rows = [entry(0, "lens", [math.log(p) for p in (0.1, 0.1, 0.6)], 0, gold="1", number=2)]
    rows += [entry(1, "lens", [math.log(p) for p in (0.4, 0.1)], 0, gold="B", number=0)]
    table = answers.by_layer(written(tmp_path / "a.parquet", rows), ["m"], ["d"], 200, 0).set_index("kind")["probability"]
    assert table["correct"] == pytest.approx(0.5, abs=1e-6) and table["wrong"] == pytest.approx(0.1, abs=1e-6)


def test_cumulative_cuts_name_the_halves_and_count_what_is_still_answered(tmp_path):
    rows = []
    for i in (0, 1):
        base = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(
            question_id=f"q{i}", cluster=f"c{i}", dataset="d", model="m", group="hear"
        )
        base |= dict(layout="paper_eq1", cut="mask", applicable=True, correct_clean=True, width=3, p_base_clean=1.0)
        rows.append(base | dict(control="null", answer="A", style="centred", logp_base=0.0))
        for style in ("bottom_up", "top_down"):
            for c in range(4):
                start, stop = (0, c + 1) if style == "bottom_up" else (c, 4)
                hurt = i == 0 and stop - start == 4
                cut = dict(style=style, centre=c, window_start=start, window_stop=stop, route="audio->question", control="none")
                rows.append(base | cut | dict(answer="B" if hurt else "A", logp_base=math.log(0.5) if hurt else 0.0))
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    table = answers.answers_kept(tmp_path / "k.parquet", ["m"], "d", 200, 0).set_index(["style", "centre"])
    assert table.loc[("bottom_up", 3), "accuracy"] == 0.5 == table.loc[("top_down", 0), "accuracy"]
    assert table.loc[("bottom_up", 3), "change"] == pytest.approx(-25) and table.loc[("bottom_up", 0), "accuracy"] == 1
    assert table[table["half"] != ""]["half"].to_dict() == {("bottom_up", 1): "first", ("top_down", 2): "second"}
