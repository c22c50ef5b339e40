"""A published number is shown with its frames per second and prompt, and with ours where they differ."""

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from test_study import MINIATURE, PAPER, study

from avflow import figure_table
from avflow.results import conditions, published

OURS = {"fps": "2", "prompt": "the benchmark's"}
FOLDER = ROOT / "resources/published"


@pytest.mark.parametrize(
    ("fps", "prompt", "ours", "said"),
    [
        ("1", "the benchmark's", OURS, "1 fps, the benchmark's prompt (here 2 fps)"),
        ("2", "the benchmark's", OURS, "2 fps, the benchmark's prompt (as here)"),
        ("2.0", "lmms-eval's", OURS, "2 fps, lmms-eval's prompt (here the benchmark's prompt)"),
        ("unknown", "unknown", OURS, "fps and prompt not stated (here 2 fps, the benchmark's prompt)"),
        ("unknown", "the benchmark's", OURS, "the benchmark's prompt, fps not stated (here 2 fps)"),
        ("none", "unknown", OURS, "prompt not stated (here the benchmark's prompt)"),
        ("none", "the benchmark's", OURS, "the benchmark's prompt (as here)"),
        ("1", "the benchmark's", {}, "1 fps, the benchmark's prompt"),
    ],
)
def test_conditions_are_named_and_ours_where_they_are_others(fps, prompt, ours, said):
    assert conditions.words(fps, prompt, ours) == said


def test_every_published_number_has_conditions_and_a_source_table():
    prompts = yaml.safe_load((FOLDER / "prompts.yaml").read_text())
    for name in ("accuracy", "masking", "table_4", "curves", "attention"):
        rows = published.read(FOLDER / f"{name}.csv", *published.CONDITIONS)
        assert rows["source"].str.fullmatch(r"arXiv \d{4}\.\d{5}, (Table|Figure) \d").all(), name
        for row in rows[["dataset", "fps", "prompt"]].drop_duplicates().to_dict("records"):
            assert row["fps"] == "none" if row["dataset"] == "av_odyssey" else row["fps"] in ("unknown", "1")
            assert row["prompt"] == "unknown" or row["prompt"] in prompts[row["dataset"]]
    rows = published.read(FOLDER / "accuracy.csv")
    benchmark = rows["source"].str.startswith("arXiv 2512.02231")
    assert (rows.loc[benchmark, "fps"] == "1").all() and set(rows.loc[~benchmark, "fps"]) == {"unknown", "none"}


def test_the_study_knows_how_it_asks():
    asked = figure_table.asked(PAPER)
    assert asked["av_speakerbench"]["prompt"] == "the benchmark's" and asked["worldsense"]["prompt"] == "lmms-eval's"
    assert asked["av_speakerbench"]["fps"]["qwen2.5-omni-3b"] == 2
    assert asked["av_speakerbench"]["fps"]["video-salmonn2-plus-3b"] == 10, "a frame per 0.1 s"
    assert figure_table.asked(MINIATURE) == {}, "nothing is published about it"
    assert conditions.here(asked, "worldsense", "qwen2.5-omni-7b") == {"fps": "2", "prompt": "lmms-eval's"}
    assert conditions.here(asked, "mini-video", "tiny-omni") == conditions.here(None, "worldsense", "x") == {}
    texts = {"instruction": "Choose."}
    changed = study("paper", datasets={"av_speakerbench": texts}, sampling={"omni-default": {"fps": 1}})
    asked = figure_table.asked(changed)["av_speakerbench"]
    assert asked["prompt"] == "config.yaml's" and asked["fps"]["qwen2.5-omni-7b"] == 1


def test_figures_name_the_conditions_of_the_curves_behind_them():
    from avflow.figures import route_panels
    from avflow.results.effects import Effects, Reading

    rows = published.curves(FOLDER / "curves.csv", "av_speakerbench", "qwen2.5-omni-3b").assign(model="qwen2.5-omni-3b")
    reading = Reading("", asked=figure_table.asked(PAPER))
    empty = pd.DataFrame()
    said = [handle.get_label() for handle in route_panels.explained(Effects(reading, empty, empty, empty, rows))]
    words = "paper (read off its figure):\nfps and prompt not stated (here 2 fps, the benchmark's prompt)"
    assert said[1:] == [words]
    assert len(route_panels.explained(Effects(reading, empty, empty, empty))) == 1
