"""Tables 2 and 3, the baseline, reliance and the orders of a prompt, from small tables whose numbers are known."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from avflow.errors import InputError
from avflow.figures import baseline_bars, order_panels
from avflow.questions import layouts
from avflow.questions.question import split_for_knockout
from avflow.results import baseline, effects, orders, published, reliance, task_table
from avflow.tracing import row_schemas

ROUTES = {
    "items": ["candidates->reference", "reference->last", "candidates->last", "question->last", "options->last"],
    "clips": [],
}
ACCURACY, COUNTS = ROOT / "resources/published/accuracy.csv", ROOT / "resources/published/tasks.csv"


def answer(i, task, group, correct, dataset="av_speakerbench", model="qwen2.5-omni-3b", variant=None, **more):
    row = dict.fromkeys(row_schemas.EVALUATE.names) | dict(
        question_id=f"q{i}", dataset=dataset, cluster=f"c{i}", needs="AV", model=model
    )
    row |= dict(
        task=task, group=group, correct=correct, says_letter=True, answer="A", content="x", **{f"logit_{x}": 0.0 for x in "ABCD"}
    )
    row |= more
    return row if variant is None else row | {"variant": variant}


@pytest.fixture
def evaluated(tmp_path):
    """Ten answers of a model: 3 of 4 right in one task, 1 of 2 in another of the same group, 2 of 4 elsewhere, one no letter."""
    rows = [answer(i, "activity_recognition", "visual_recognition", i < 3) for i in range(4)]
    rows += [answer(4 + i, "attribute_recognition", "visual_recognition", i < 1) for i in range(2)]
    rows += [answer(6 + i, "speech_recognition", "speech_recognition", i < 2, says_letter=i < 3) for i in range(4)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "e.parquet")
    return tmp_path / "e.parquet"


def test_a_group_is_the_mean_of_its_tasks_beside_the_papers_number(evaluated):
    found = baseline.accuracies(evaluated, ACCURACY, 200, 0).set_index(["level", "task", "group"])
    assert found.loc[("task", "activity_recognition", "visual_recognition"), "accuracy"] == 0.75
    group = found.loc[("group", "mean of tasks", "visual_recognition")]
    assert group["accuracy"] == pytest.approx((0.75 + 0.5) / 2) and group["n"] == 6 and group["correct"] == 4
    assert group["published"] == pytest.approx(0.4658) and group["published_source"] == "arXiv 2606.10147"
    speech = found.loc[("task", "speech_recognition", "speech_recognition")]
    assert speech["published"] == 0.5025 and speech["published_other"] == "52.74 (arXiv 2512.02231, Table 2)"
    assert speech["no_letter"] == 1 and found.loc[("all", "all", "all"), "accuracy"] == pytest.approx(0.6)
    assert found.loc[("all", "all", "all"), "published"] == 0.4224


def test_nothing_published_about_another_model_or_dataset_is_shown(evaluated, tmp_path):
    rows = [
        answer(0, "hear", "hear", True, dataset="mini-video"),
        answer(1, "speech_recognition", "speech_recognition", True, model="tiny"),
    ]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "o.parquet")
    assert baseline.accuracies(tmp_path / "o.parquet", ACCURACY, 200, 0)["published"].isna().all()


def test_every_published_number_names_its_source():
    for path, number in ((ACCURACY, "accuracy"), (COUNTS, "n")):
        table = published.read(path, "dataset", "task", "group", number, "source", "note")
        assert table["source"].str.match(r"arXiv \d{4}\.\d{5}").all()
        assert pd.to_numeric(table[number]).notna().all()
    with pytest.raises(InputError, match="there is no column 'accuracy', only dataset, task, group, n, source, note; restore"):
        published.read(COUNTS, "accuracy")


def test_the_sizes_of_the_speaker_benchmarks_tasks_add_up_to_its_questions():
    counts = published.read(COUNTS)
    sizes = counts[(counts["dataset"] == "av_speakerbench") & ~counts["task"].isin(["all", "knockout"])]["n"].astype(int)
    assert len(sizes) == 12 and sizes.sum() == 3212
    both = counts[(counts["dataset"] == "av_odyssey") & counts["task"].isin(["animal", "bird", "transportation"])]
    assert both.groupby("task")["n"].apply(lambda n: n.astype(int).sum()).to_dict() == {
        "animal": 200,
        "bird": 200,
        "transportation": 200,
    }


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
    assert title == "av_speakerbench: 3 questions dropped (1 missing, 2 no_audio); answers that are no letter: 1"


def test_the_task_table_counts_questions_answers_and_drops(questions):
    pool = split_for_knockout([q for q in questions.values() if q.setting == "items"], 4, {"audio-to-image"})
    rows = [
        answer(0, q.task, q.group, q.question_id.endswith("1"), dataset="mini-items", question_id=q.question_id) for q in pool
    ]
    dropped = pd.DataFrame([dict(question_id="x", task="audio-to-image", reason="missing", detail="")])
    counts = pd.DataFrame(
        [
            dict(dataset="mini-items", task="audio-*", group="A2I", n="7"),
            dict(dataset="mini-items", task="*", group="both", n="20"),
        ]
    )
    table = task_table.task_table(pool, dropped, pd.DataFrame(rows), counts).set_index(["group", "task"])
    one = table.loc["A2I", "audio-to-image"]
    assert (one["n"], one["n_knockout"], one["n_dropped"], one["n_paper"]) == (6, 4, 1, 7) and pd.isna(one["n_paper_task"])
    other = table.loc["I2A", "image-to-audio"]
    assert (other["n"], other["n_knockout"], other["n_paper_task"]) == (6, 0, 20) and pd.isna(other["n_paper"])
    assert one["correct_qwen2.5-omni-3b"] == 1 and table.loc["all", "all"]["correct_qwen2.5-omni-3b"] == 2
    assert table.loc["all", "knockout"]["n"] == 4 and table.loc["all", "all"]["n_dropped"] == 1
    q = min((q for q in pool if q.task == "audio-to-image"), key=lambda q: q.question_id)
    right = next(o for o in q.options if o.label == q.answer)
    assert one["example"].startswith("Out of the four pictures [img1]") and f"[{right.label}. {right.text}]" in one["example"]


def test_a_table_in_latex_escapes_what_latex_reads():
    table = pd.DataFrame([{"group": "a_b", "n": 3, "example_id": "x", "example": "50 % of {this} & that_one?"}])
    tex = task_table.to_tex(table)
    assert r"a\_b & 3 & 50 \% of \{this\} \& that\_one? \\" in tex and tex.startswith(r"\begin{tabular}{lrp{0.4\linewidth}}")


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


def test_reliance_sets_what_is_lost_without_a_sense_beside_its_route(evaluated, tmp_path):
    schema = row_schemas.EVALUATE.append(pa.field("variant", pa.string()))
    rows = []
    for variant, right in (("muted", 1), ("blanked", 3), ("text_only", 0), ("swapped", 2)):
        chosen = range(4) if variant != "swapped" else range(2)
        rows += [answer(i, "activity_recognition", "visual_recognition", i < right, variant=variant) for i in chosen]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "r.parquet")
    table = reliance.reliance(tmp_path / "r.parquet", evaluated, 200, 0)
    one = table.set_index("task").loc["activity_recognition"]
    assert (one["as_is"], one["muted"], one["blanked"], one["text_only"], one["swapped"]) == (0.75, 0.25, 0.75, 0.0, 1.0)
    assert one["swapped_n"] == 2 and one["chance"] == 0.25
    assert set(table["task"]) == {"activity_recognition"}, "tasks that were not asked again are left out"
    groups = reliance.reliance(tmp_path / "r.parquet", evaluated, 200, 0, by="group")
    changes = pd.DataFrame(
        [
            dict(
                model="qwen2.5-omni-3b",
                question_id=f"q{i}",
                cluster=f"c{i}",
                group="visual_recognition",
                route="audio->question",
                centre=c,
                change=-10.0 * c,
            )
            for i in range(2)
            for c in range(3)
        ]
    )
    sides = reliance.areas(changes, groups, 200, 0)
    assert sides.iloc[0][["group", "route", "n", "area"]].tolist() == ["visual_recognition", "audio->question", 2, -10.0]
    assert sides.iloc[0]["lost"] == pytest.approx(100 * (3 / 4 - 1 / 4))
