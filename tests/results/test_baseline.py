"""Accuracy without a cut beside the paper's, and what was dropped. Also tests avflow.figures.baseline_bars."""

import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from table_rows import answer

import ship
from avflow.figures import baseline_bars
from avflow.results import baseline
from avflow.tracing import row_schemas

ACCURACY, COUNTS = ROOT / "resources/published/accuracy.csv", ROOT / "resources/published/tasks.csv"


def test_a_group_is_the_mean_of_its_tasks_beside_the_papers_number(evaluated):
    found = baseline.accuracies(evaluated, ACCURACY, 200, 0).set_index(["level", "task", "group"])
    assert found.loc[("task", "activity_recognition", "visual_recognition"), "accuracy"] == 0.75
    group = found.loc[("group", "mean of tasks", "visual_recognition")]
    assert group["accuracy"] == pytest.approx((0.75 + 0.5) / 2) and group["n"] == 6 and group["correct"] == 4
    assert group["published"] == pytest.approx(0.4658) and group["published_source"] == "arXiv 2606.10147, Table 4"
    assert group["published_conditions"] == "fps and prompt not stated"
    speech = found.loc[("task", "speech_recognition", "speech_recognition")]
    assert speech["published"] == 0.5025 and speech["published_other"] == (
        "52.74 (arXiv 2512.02231, Table 2; 1 fps, the benchmark's prompt)"
    )
    assert speech["no_letter"] == 1 and found.loc[("all", "all", "all"), "accuracy"] == pytest.approx(0.6)
    assert found.loc[("all", "all", "all"), "published"] == 0.4224


def test_nothing_published_about_another_model_or_dataset_is_shown(evaluated, tmp_path):
    rows = [
        answer(0, "hear", "hear", True, dataset="mini-video"),
        answer(1, "speech_recognition", "speech_recognition", True, model="tiny"),
    ]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "o.parquet")
    assert baseline.accuracies(tmp_path / "o.parquet", ACCURACY, 200, 0)["published"].isna().all()


def test_chance_follows_from_the_number_of_options_of_each_question(tmp_path):
    five = dict(option_logits=[0.0] * 5)
    three = {f"logit_{x}": math.nan for x in "ABCD"} | dict(option_logits=[0.0] * 3, answer="b")
    two = {"logit_C": math.nan, "logit_D": math.nan}
    rows = [answer(i, "hear", "hear", True, **more) for i, more in enumerate(({}, five, three, two))]
    table = pa.Table.from_pylist(rows, row_schemas.EVALUATE)
    assert baseline.chance_of(table.to_pandas()).tolist() == pytest.approx([1 / 4, 1 / 5, 1 / 3, 1 / 2])
    older = table.drop_columns(["option_logits"]).to_pandas()
    assert baseline.chance_of(older.iloc[[0, 3]]).tolist() == [1 / 4, 1 / 2], "tables from before the column are read"
    pq.write_table(table, tmp_path / "e.parquet")
    assert baseline.accuracies(tmp_path / "e.parquet", ACCURACY, 200, 0)["chance"][0] == pytest.approx(
        (1 / 4 + 1 / 5 + 1 / 3 + 1 / 2) / 4
    )


def test_drops_are_counted_by_dataset_task_and_reason(tmp_path, evaluated):
    head = "question_id\ttask\treason\tdetail\n"
    (tmp_path / "av_speakerbench.dropped.tsv").write_text(
        head + "a\tsee\tno_audio\tx\nb\tsee\tno_audio\tx\nc\thear\tmissing\tx\n"
    )
    (tmp_path / "worldsense.dropped.tsv").write_text(head)
    lost = baseline.drops([tmp_path / "av_speakerbench.dropped.tsv", tmp_path / "worldsense.dropped.tsv"])
    assert lost.values.tolist() == [["av_speakerbench", "hear", "missing", 1], ["av_speakerbench", "see", "no_audio", 2]]
    figure = baseline_bars.accuracy_bars(baseline.accuracies(evaluated, ACCURACY, 200, 0), lost)
    title = figure.axes[0].get_title(loc="left")
    assert title == "av_speakerbench: 3 questions dropped (1 missing, 2 no_audio); answers that are not a letter: 1"


def test_every_published_value_has_a_mark_over_its_bar_and_the_legend_names_its_conditions(evaluated):
    asked = {"av_speakerbench": {"prompt": "the benchmark's", "fps": {"qwen2.5-omni-3b": 2}}}
    table = baseline.accuracies(evaluated, ACCURACY, 200, 0, asked)
    values = baseline.reported_values(table, ACCURACY, asked)
    figure = baseline_bars.accuracy_bars(table, pd.DataFrame(columns=["dataset", "reason", "n"]), values)
    axis = figure.axes[0]
    shown = {(round(line.get_xdata()[0], 2), round(line.get_ydata()[0], 2), line.get_marker()) for line in axis.lines}
    tasks = [label.get_text().replace("\n", " ") for label in axis.get_xticklabels()]
    speech, everything = tasks.index("speech recognition (needs AV)"), tasks.index("all")
    assert {(speech, 50.25, "s"), (speech, 52.74, "D")} <= shown, "the paper's and the benchmark's, told apart"
    assert {(everything, 42.24, "o"), (everything, 43.52, "D")} <= shown
    legend = [text.get_text() for text in figure.legends[-1].get_texts()]
    assert legend[0] == "arXiv 2512.02231, Table 2: 1 fps, the benchmark's prompt (here 2 fps)"
    assert legend[1] == "arXiv 2606.10147, Table 4: fps and prompt not stated (here 2 fps, the benchmark's prompt)"
    assert len(legend) == 3 and len(shown) == len(values)


def test_logits_of_other_labels_are_shipped_and_an_empty_column_is_not():
    rows = [answer(0, "hear", "hear", True, option_logits=None), answer(1, "hear", "hear", True, option_logits=[0.1, 1 / 3])]
    table = ship.slim(pa.Table.from_pylist(rows, row_schemas.EVALUATE))
    assert table["option_logits"].to_pylist() == [None, pytest.approx([0.1, 1 / 3], abs=1e-3)]
    assert "option_logits" not in ship.slim(pa.Table.from_pylist(rows[:1], row_schemas.EVALUATE)).column_names


def test_each_models_bar_and_published_value_stand_in_its_own_place():
    rows = [dict(model=model, accuracy=x) for model, x in (("one", 0.4), ("two", 0.7))]
    about = dict(dataset="d", level="task", task="t", group="t", needs="A", chance=0.25, no_letter=0)
    table = pd.DataFrame([about | row | dict(ci_low=row["accuracy"] - 0.1, ci_high=row["accuracy"] + 0.1) for row in rows])
    told = pd.DataFrame([about | dict(model="two", published=0.6, source="s", conditions="c")])
    (axis,) = baseline_bars.accuracy_bars(table, pd.DataFrame(columns=["dataset", "reason", "n"]), told).axes
    one, two = axis.patches
    assert (one.get_height(), two.get_height()) == (40, 70) and one.get_x() < two.get_x()
    (mark,) = [line for line in axis.lines if line.get_marker() == "D"]
    assert mark.get_xdata()[0] == pytest.approx(two.get_x() + two.get_width() / 2) and mark.get_ydata()[0] == 60
