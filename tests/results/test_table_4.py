"""Table 4: means over tasks, kinds of token that the paper does not have, layers around the chosen ones, the paper's numbers."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from avflow.results import kinds_of, published, table_4

WAYS = ("none", "Tail", "Audio", "All", "random", "FastV-0.5", "VTW")
COSTS = ("flops_llm", "kv_bytes", "token_layers", "prefill_ms", "prefill_ms_low", "prefill_ms_high")
COSTS += ("encoder_ms", "decode_ms_per_token", "peak_bytes")
LAYERS = {kind: {"tokens": kind, "layer": 3, "why": "x"} for kind in ("Audio", "Tail", "VTW")}


def table_of(answers, swept=None, patterns=("*",)):
    """Table 4's rows of one group of tasks. answers: task -> discard -> correct, one per question."""
    about = dict(model="m", dataset="d", setting="av_video", group="both", device="cpu", draw=0) | dict.fromkeys(COSTS, 1.0)
    rows = [
        about | dict(task=task, discard=way, question_id=f"{task}{i}", cluster=f"{task}{i}", correct=bool(right))
        for task, ways in answers.items()
        for way, rights in ways.items()
        for i, right in enumerate(rights)
    ]
    parts = {"knockout": {"d": list(patterns)}}
    made = table_4.table(pd.DataFrame(rows), parts, ["m"], {"m": {"av_video": LAYERS}}, None, 2, 100, 0, None, swept)
    return made["av_video"].set_index("setting")


def sweep_of(by_layer, tasks=None):
    """Rows of a discard sweep: layer -> correct, one per question, each of which is right without discards."""
    about = dict(model="m", dataset="d", setting="av_video", group="both", discard="Audio", control="none")
    tasks = tasks or ["t"] * len(next(iter(by_layer.values())))
    rows = [dict(layer=layer, i=i, correct=bool(right)) for layer, rights in by_layer.items() for i, right in enumerate(rights)]
    rows += [dict(control="null", discard="none", layer=-1, i=i, correct=True) for i in range(len(tasks))]
    rows += [dict(control="random", layer=3, i=i, correct=False) for i in range(len(tasks))]
    return pd.DataFrame([about | dict(task=tasks[row["i"]], question_id=f"s{row.pop('i')}") | row for row in rows])


def test_a_groups_accuracy_is_the_mean_of_its_tasks_and_not_of_its_questions():
    answers = {
        "small": {"none": [1, 1], "Audio": [1, 0]},
        "large": {"none": [1] * 3 + [0] * 5, "Audio": [1] * 3 + [0] * 5},
    }
    table = table_of(answers)
    assert table["accuracy"].tolist() == [(100 + 37.5) / 2, (50 + 37.5) / 2] and set(table["n"]) == {10}
    assert table.loc["Audio", "change"] == -25, "over questions, it would be -10"
    assert table.loc["Audio", "ci_low"] < -25 < table.loc["Audio", "ci_high"]


def test_the_change_two_layers_to_either_side_is_that_of_the_sweep():
    swept = sweep_of({0: [0, 0, 0, 0], 1: [0, 0, 0, 1], 2: [0] * 4, 3: [1, 1, 1, 0], 4: [0] * 4, 5: [1, 1, 1, 1]})
    table = table_of({"t": dict.fromkeys(("none", "Audio", "Tail", "All"), [1, 0])}, swept)
    assert table.loc["Audio", ["n_swept", *table_4.SHIFTS]].tolist() == [4, -75, -25, 0], "layers 1, 3 and 5"
    assert table.loc["Tail", "n_swept"] == 0 and table.loc[["none", "Tail", "All"], list(table_4.SHIFTS)].isna().all(axis=None)
    ended = table_of({"t": {"none": [1], "Audio": [1]}}, swept[swept["layer"] < 5])
    assert np.isnan(ended.loc["Audio", "swept_change_later"]) and ended.loc["Audio", "swept_change_earlier"] == -75
    assert table_of({"t": {"none": [1], "Audio": [1]}}).loc["Audio", list(table_4.SHIFTS)].isna().all()


def test_the_sweeps_tasks_count_alike_and_are_those_of_the_part():
    tasks = ["one", "two", "two", "two", "other"]
    swept = sweep_of({1: [0, 1, 1, 1, 1], 3: [1, 1, 1, 0, 1], 5: [1] * 5}, tasks)
    answers = {task: {"none": [1], "Audio": [1]} for task in ("one", "two")}
    row = table_of(answers, swept, ["one", "two"]).loc["Audio"]
    assert row[["n_swept", *table_4.SHIFTS]].tolist() == [4, -50, pytest.approx(-100 / 6), 0]


def block(known=None, asked=None, costs=(), **about):
    """Table 4's block of four questions of one task, discarded in WAYS."""
    about = dict(model="m", dataset="d", setting="av_video", task="t", group="t", device="cpu", draw=0) | about
    costs = dict.fromkeys(COSTS, 1.0) | dict(costs)
    rows = [about | costs | dict(question_id=f"q{i}", cluster=f"c{i}", discard=w, correct=i > 0) for i in range(4) for w in WAYS]
    model, parts = about["model"], {"knockout": {about["dataset"]: ["*"]}}
    made = table_4.table(pd.DataFrame(rows), parts, [model], {model: {"av_video": LAYERS}}, known, 2, 100, 0, asked)
    return made["av_video"]


def test_the_table_and_the_figure_take_kinds_that_the_paper_does_not_have():
    assert block()["setting"].tolist() == ["none", "Audio", "Tail", "All"]
    assert kinds_of(pd.Series(WAYS)) == ["Audio", "Tail", "All"]


def test_the_share_of_the_llm_is_its_prefill_in_encoding_and_prefill():
    assert block(costs={"prefill_ms": 3.0, "encoder_ms": 1.0})["llm_share"].tolist() == [0.75] * 4


def test_the_papers_accuracy_has_its_table_and_conditions():
    known = published.read(ROOT / "resources/published/table_4.csv")
    asked = {"av_speakerbench": {"prompt": "the benchmark's", "fps": {"qwen2.5-omni-3b": 2}}}
    ours = dict(model="qwen2.5-omni-3b", dataset="av_speakerbench", task="speech_recognition", group="speech_recognition")
    table = block(known, asked, **ours).set_index("setting")
    assert table.loc[["none", "Audio", "All"], "accuracy_paper"].tolist() == [50.25, 50.25, 49.75]
    assert table["accuracy_paper"].isna().tolist() == [False, False, True, False]
    assert table.loc["none", "paper_source"] == "arXiv 2606.10147, Table 4" and pd.isna(table.loc["Tail", "paper_source"])
    assert table.loc["All", "paper_conditions"] == "fps and prompt not stated (here 2 fps, the benchmark's prompt)"
