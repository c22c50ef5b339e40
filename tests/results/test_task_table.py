"""Tables 2 and 3: counts of questions, answers and drops, and their LaTeX."""

import pandas as pd
from conftest import ROOT
from examples import ITEMS, items, video
from table_rows import answer

from avflow.questions.question import split_for_knockout
from avflow.results import task_table

ACCURACY, COUNTS = ROOT / "resources/published/accuracy.csv", ROOT / "resources/published/tasks.csv"


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
    assert one["correct_qwen2.5-omni-3b"] == 1 and table.loc["all", "all"]["correct_qwen2.5-omni-3b"] == 6
    assert list(table["n_eq3_order"]) == list(table["n_reordered"]) == list(table["n"]), "the miniature is in Eq. 3's order"
    assert table.loc["all", "knockout"]["n"] == 4 and table.loc["all", "all"]["n_dropped"] == 1
    q = min((q for q in pool if q.task == "audio-to-image"), key=lambda q: q.question_id)
    right = next(o for o in q.options if o.label == q.answer)
    assert one["example"].startswith("Out of the four pictures [img1]") and f"[{right.label}. {right.text}]" in one["example"]


def test_the_table_of_matching_questions_counts_orders_with_the_reasons_for_what_cannot_be_reordered():
    run = "[img1], [img2], [img3], or [img4]"
    texts = [
        f"Which bird in {run} sings in [audio1]?",
        f"Judging by [audio1], which bird among {run} is it?",
        "Which fits [audio1]: (A) [img1] (B) [img2] (C) [img3] (D) [img4]?",
        f"First listen to [audio1], then look at {run}. Which one fits?",
        "Is it (A) [img1], (B) [img2], (C) [img3] or (D) [img4] that sounds like [audio1]?",
    ]
    words = [f"{letter}. the {n} image" for letter, n in zip("ABCD", ("third", "first", "fourth", "second"))]
    shared = dict(options=words, image_path=ITEMS["audio_path"], audio_path=ITEMS["image_path"])
    pool = [items(question=text, question_id=f"q{i}", **shared) for i, text in enumerate(texts)]
    answers = pd.DataFrame([answer(0, q.task, q.group, True, dataset="mini-items", question_id=q.question_id) for q in pool])
    dropped = pd.DataFrame(columns=["question_id", "task", "reason", "detail"])
    counts = pd.DataFrame(columns=["dataset", "task", "group", "n"])
    table = task_table.task_table(pool, dropped, answers, counts)
    assert list(table["n"]) == [5, 5] and list(table["n_eq3_order"]) == [2, 2] and list(table["n_reordered"]) == [2, 2]
    told = "a tag stands behind a label of its own or inside a word (2); it says in which order media come ('First listen') (1)"
    assert table["not_reordered"][0] == told and "label" not in task_table.to_tex(table).split("midrule")[0]


def test_clips_have_no_orders_to_count():
    answers = pd.DataFrame([answer(0, "t", "t", True)])
    table = task_table.task_table(
        [video()], pd.DataFrame(columns=["task"]), answers, pd.DataFrame(columns=["dataset", "task", "group", "n"])
    )
    assert not {"n_eq3_order", "n_reordered", "not_reordered"} & set(table.columns)


def test_a_table_in_latex_escapes_what_latex_reads():
    table = pd.DataFrame([{"group": "a_b", "n": 3, "example_id": "x", "example": "50 % of {this} & that_one?"}])
    tex = task_table.to_tex(table)
    assert r"a\_b & 3 & 50 \% of \{this\} \& that\_one? \\" in tex and tex.startswith(r"\begin{tabular}{lrp{0.4\linewidth}}")
