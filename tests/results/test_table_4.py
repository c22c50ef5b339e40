"""Table 4 takes kinds of token that the paper does not have, and shows the paper's numbers with their conditions."""

import pandas as pd
from conftest import ROOT

from avflow.results import kinds_of, published, table_4

WAYS = ("none", "Tail", "Audio", "All", "random", "FastV-0.5", "VTW")
COSTS = ("flops_llm", "kv_bytes", "token_layers", "prefill_ms", "prefill_ms_low", "prefill_ms_high")
COSTS += ("encoder_ms", "decode_ms_per_token", "peak_bytes")
LAYERS = {kind: {"tokens": kind, "layer": 3, "why": "x"} for kind in ("Audio", "Tail", "VTW")}


def block(known=None, asked=None, **about):
    """Table 4's block of four questions of one task, discarded in WAYS."""
    about = dict(model="m", dataset="d", setting="av_video", task="t", group="t", device="cpu", draw=0) | about
    costs = dict.fromkeys(COSTS, 1.0)
    rows = [about | costs | dict(question_id=f"q{i}", cluster=f"c{i}", discard=w, correct=i > 0) for i in range(4) for w in WAYS]
    model, parts = about["model"], {"knockout": {about["dataset"]: ["*"]}}
    made = table_4.table(pd.DataFrame(rows), parts, [model], {model: {"av_video": LAYERS}}, known, 2, 100, 0, asked)
    return made["av_video"]


def test_the_table_and_the_figure_take_kinds_that_the_paper_does_not_have():
    assert block()["setting"].tolist() == ["none", "Audio", "Tail", "All"]
    assert kinds_of(pd.Series(WAYS)) == ["Audio", "Tail", "All"]


def test_the_papers_accuracy_has_its_table_and_conditions():
    known = published.read(ROOT / "resources/published/table_4.csv")
    asked = {"av_speakerbench": {"prompt": "the benchmark's", "fps": {"qwen2.5-omni-3b": 2}}}
    ours = dict(model="qwen2.5-omni-3b", dataset="av_speakerbench", task="speech_recognition", group="speech_recognition")
    table = block(known, asked, **ours).set_index("setting")
    assert table.loc[["none", "Audio", "All"], "accuracy_paper"].tolist() == [50.25, 50.25, 49.75]
    assert table["accuracy_paper"].isna().tolist() == [False, False, True, False]
    assert table.loc["none", "paper_source"] == "arXiv 2606.10147, Table 4" and pd.isna(table.loc["Tail", "paper_source"])
    assert table.loc["All", "paper_conditions"] == "fps and prompt not stated (here 2 fps, the benchmark's prompt)"
