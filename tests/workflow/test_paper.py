"""A rehearsal of the paper's study, from pins and downloads to the last figure and table, at small size.

A stand-in hub serves a few synthetic clips in the layouts that the benchmarks ship in, and the tiny models under the names of the
real ones; the rules, their order, the pins, the prompts and the figures are those of `study=paper`.
"""

import csv
import json
import os
import subprocess
import sys

import layouts
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from hub_server import Hub
from workflow_runs import as_a_user, planned, preloaded

SETTINGS = yaml.safe_load((ROOT / "config.yaml").read_text())
STUDY = SETTINGS["studies"]["paper"]
FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "app_baseline", "app_reliance")
MORE = ("app_order", "app_window", "app_options", "app_cumulative", "app_sufficiency", "app_failed", "app_tasks", "app_models")
MORE += ("app_answer_probability", "app_attention_change", "app_discard_layers", "app_pareto", "app_sensitivity")
# For time's sake one model, as the other family goes through the miniature in small, and what shows the paper's numbers or is
# held to them; the other figures are left to the miniature. AVFLOW_REHEARSE=all takes all models and figures.
ALL = os.environ.get("AVFLOW_REHEARSE") == "all"
FIGURES += MORE if ALL else ()
TARGETS = ("all",) if ALL else (*FIGURES, "tab1", "tab2", "tab3", "tab4", "results/paper/tables/claims.html")
MODELS = STUDY["models"] if ALL else [STUDY["main_model"]]
CONFIG = ("--config", "study=paper", f"studies={json.dumps({'paper': {'models': MODELS}})}")
CONFIG += ("--configfile", "config.yaml", "tests/paper.yaml")


def snakemake(where, *arguments):
    """Run the paper's study in small, with the hub that `HF_ENDPOINT` names."""
    environment = as_a_user("HF_TOKEN") | preloaded()
    command = [sys.executable, "-m", "snakemake", *arguments, *CONFIG]
    return subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.fixture(scope="module")
def rehearsed(copy, tmp_path_factory):
    """The copy after pin, downloads, and every figure and table of the paper's study."""
    shipped = tmp_path_factory.mktemp("shipped")
    layouts.speakerbench(shipped / "av_speakerbench", clips=2, tasks=layouts.SPEAKER_TASKS | layouts.OTHER_SPEAKER_TASKS)
    layouts.odyssey(shipped / "av_odyssey", questions=1, tasks=layouts.ODYSSEY_TASKS | layouts.OTHER_ODYSSEY_TASKS)
    layouts.worldsense(shipped / "worldsense", videos=2)
    told = shipped / "worldsense/worldsense_qa.json"
    videos = json.loads(told.read_text())
    told.write_text(json.dumps({**videos, "gone": videos["vid2"]}))  # a video that no archive holds
    with Hub() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        for name in STUDY["datasets"]:
            hub.add("dataset", SETTINGS["datasets"][name]["repo"], shipped / name)
        for name in MODELS:
            tiny = "tiny-omni" if SETTINGS["models"][name]["family"] == "qwen_omni" else "tiny-salmonn"
            hub.add("model", SETTINGS["models"][name]["repo"], ROOT / "resources" / tiny, card={"license": "other"})
        for targets in (["pin"], TARGETS):
            run = snakemake(copy, *targets, "--cores", "2")
            assert run.returncode == 0, run.stdout[-6000:]
        yield copy


def test_every_figure_and_table_of_the_paper_is_made(rehearsed):
    for name in FIGURES:
        assert (rehearsed / f"results/paper/figures/{name}.png").stat().st_size > 5000, name
        assert (rehearsed / f"results/paper/figures/{name}.pdf").stat().st_size > 5000, name
    for name in (
        "tab1",
        "tab2",
        "tab3",
        "fig1",
        "fig2",
        "app_baseline",
        "app_reliance",
        *(("app_models", "app_order") if ALL else ()),
    ):
        text = (rehearsed / f"results/paper/tables/{name}.csv").read_text()
        assert all(model in text for model in MODELS), name
    assert not list((rehearsed / "results").rglob("*.part")) and not list((rehearsed / "downloads").rglob("*.part"))


def test_models_answer_through_downloads_archives_and_parquet_as_in_the_world(rehearsed):
    answers = pq.read_table(rehearsed / "results/paper/tables/evaluate.parquet").to_pandas()
    assert set(answers["model"]) == set(MODELS)
    assert answers.groupby("dataset")["question_id"].nunique().to_dict() == {
        "av_odyssey": 9,
        "av_speakerbench": 24,
        "worldsense": 4,
    }
    known = answers[answers["dataset"] != "worldsense"]  # whose prompt is worded otherwise than the world's
    assert known.groupby(["model", "dataset"])["correct"].mean().min() > 0.9


def test_every_model_shows_the_routes_that_its_tasks_need(rehearsed):
    from avflow.results import effects

    windows = dict.fromkeys(MODELS, 3)
    rows = effects.relative_change(rehearsed / "results/paper/tables/knockout_figure_4.parquet", windows, "av_speakerbench")
    lowest = rows.groupby(["model", "task", "route", "centre"])["change"].mean().groupby(["model", "task", "route"]).min()
    for model in MODELS:
        hear, see = lowest[model, "speech_recognition"], lowest[model, "activity_recognition"]
        assert hear["audio->question"] < -20 and hear["video->question"] > -5, model
        assert see["video->question"] < -20 and see["audio->question"] > -5, model
        assert hear["question->last"] < -20 and hear["audio->last"] > -5, model


def test_what_was_dropped_is_listed_with_its_reason_and_counted(rehearsed):
    with open(rehearsed / "results/paper/questions/worldsense.dropped.tsv", newline="") as file:
        dropped = list(csv.DictReader(file, delimiter="\t"))
    assert {(row["task"], row["reason"]) for row in dropped} == {("audio_change", "missing"), ("video_emotions", "missing")}
    table = pd.read_csv(rehearsed / "results/paper/tables/tab3.csv")
    assert table.loc[table["task"] == "all", "n"].tolist() == [9]


def test_pins_hold_what_was_downloaded_and_features_are_gone(rehearsed):
    for kind, names in (("models", MODELS), ("datasets", STUDY["datasets"])):
        for name in names:
            pin = json.loads((rehearsed / f"resources/pins/{name}.json").read_text())
            manifest = json.loads((rehearsed / f"downloads/{kind}/{name}/manifest.json").read_text())
            assert len(pin["revision"]) == 40 and pin["revision"] == manifest["revision"]
    assert not list((rehearsed / "results/paper").rglob("*.safetensors")), "neither frames nor features are kept"


def test_table_4_takes_the_papers_layers_and_numbers_for_the_model_that_has_them(rehearsed):
    video, items = (pd.read_csv(rehearsed / f"results/paper/tables/tab4_{block}.csv") for block in ("video", "items"))
    for block, parts in ((video, {"knockout", "cross_task", "cross_dataset"}), (items, {"knockout", "cross_task"})):
        assert set(block["model"]) == set(MODELS) and set(block["part"]) == parts
        theirs = block[block["model"] == "qwen2.5-omni-3b"]
        assert (
            theirs["accuracy_paper"].notna().all()
            and block.loc[block["model"] != "qwen2.5-omni-3b", "accuracy_paper"].isna().all()
        )
    theirs = video[(video["model"] == "qwen2.5-omni-3b") & (video["setting"] == "All")].set_index("task")
    assert theirs["accuracy_paper"].to_dict() == {
        **{"visual_recognition": 46.59, "speech_recognition": 49.75, "visual_counting": 42.93, "speech_counting": 26.04},
        **{"video_emotions": 66.67, "audio_change": 42.22},
    }
    assert theirs["layers"].iloc[0] == "Audio 7 (config.yaml); Ques 9 (config.yaml); Video 7 (config.yaml)"


def test_a_second_run_has_nothing_to_do(rehearsed):
    assert "Nothing to be done" in snakemake(rehearsed, *TARGETS, "--cores", "2").stdout


def test_the_whole_study_is_planned_for_all_four_models(tmp_path):
    few = {name: {"shards": 1 + i} for i, name in enumerate(STUDY["datasets"])}  # all that there are take half a minute to plan
    (tmp_path / "few.yaml").write_text(yaml.safe_dump({"study": "paper", "datasets": few}))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--forceall",
        "--configfile",
        "config.yaml",
        str(tmp_path / "few.yaml"),
    ]
    settings = as_a_user() | preloaded()
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings)
    assert run.returncode == 0, run.stdout[-3000:]
    jobs, shards = planned(run.stdout), sum(dataset["shards"] for dataset in few.values())
    assert jobs["evaluate"] == jobs["extract_features"] == 4 * shards
    first = min(4, few[STUDY["video"]]["shards"])  # of clips, in which other frames are an open choice
    assert "preprocess_media" not in jobs and jobs["extract_features_in_another_sampling"] == 4 * first
    assert jobs["extract_features_again"] == jobs["sufficiency"] == 4 * first, "what waits for all knockouts"
    assert jobs["download_weights"] == 4 and jobs["download_dataset"] == 3
    assert all(jobs[name] == 1 for name in (*FIGURES, *MORE, "tab1", "tab2", "tab3"))
