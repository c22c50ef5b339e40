"""Files are found wherever the working directory is, and paths that Snakemake cannot have are refused in one line."""

import copy
import os
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from avflow import figure_table, jobs, places
from avflow.errors import InputError
from avflow.study import Study

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def study(folder, **changes) -> Study:
    return Study({**copy.deepcopy(CONFIG), **changes}, folder)


def own_dataset(**keys) -> dict:
    """The configuration with a dataset of your own as mini-video."""
    mine = {"type": "questions", "setting": "av_video", "knockout_questions": "all", "shards": 1}
    files = {"media_folder": "mine", "questions_file": "mine/q.jsonl"}
    changed = copy.deepcopy(CONFIG["datasets"])
    changed["mini-video"] = {**mine, **files, **keys}
    return {"datasets": changed}


def test_the_repositorys_files_keep_their_names_in_it_and_are_absolute_elsewhere(tmp_path):
    assert study(ROOT).checkpoint_folder("tiny-omni") == "resources/tiny-omni"
    elsewhere = study(tmp_path)
    assert elsewhere.checkpoint_folder("tiny-omni") == f"{ROOT}/resources/tiny-omni"
    assert elsewhere.claims == [f"{ROOT}/resources/claims/miniature.yaml"]
    assert jobs.checkpoint(elsewhere, "tiny-omni") == [f"{ROOT}/{path}" for path in jobs.checkpoint(study(ROOT), "tiny-omni")]
    assert figure_table.published(elsewhere, "curves") == f"{ROOT}/resources/published/curves.csv"
    assert figure_table.inputs(elsewhere, "fig4")[0] == "results/miniature/tables/knockout_figure_4.parquet"
    shipped = study(tmp_path, tables="shipped")
    assert figure_table.inputs(shipped, "fig4")[0] == f"{ROOT}/figures/shipped/tables/knockout_figure_4.parquet"


def test_a_file_in_the_working_directory_comes_before_the_repositorys(tmp_path):
    (tmp_path / "resources/tiny-omni").mkdir(parents=True)
    (tmp_path / "resources/tiny-omni/config.json").write_text("{}")
    assert study(tmp_path).checkpoint_folder("tiny-omni") == "resources/tiny-omni"
    assert study(tmp_path).checkpoint_folder("tiny-salmonn") == f"{ROOT}/resources/tiny-salmonn"


def test_a_path_that_begins_with_a_dash_becomes_absolute(tmp_path):
    mine = study(tmp_path, **own_dataset(media_folder="-mine", questions_file="-mine/q.jsonl"))
    assert mine.media_root("mini-video") == mine.media_folder("mini-video") == f"{tmp_path}/-mine"
    assert mine.questions_file("mini-video") == f"{tmp_path}/-mine/q.jsonl"


@pytest.mark.parametrize("name", ['it\'s "mine"', "a b", "$HOME; ls & 100%", "übung", "a:b", "(x) [y] *", "a,b=c"])
def test_other_signs_are_allowed_in_paths(tmp_path, name):
    mine = study(tmp_path, pathvars={"results": name}, **own_dataset(media_folder=name))
    assert (mine.paths["results"], mine.media_root("mini-video")) == (name, name)
    assert jobs.frames(mine, "mini-video", "tiny-omni", "0") == f"{name}/frames/mini-video/omni-56px/0.safetensors"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pathvars": {"results": "out/{a}"}}, "pathvars/results is 'out/{a}', which holds a brace, which Snakemake takes for"),
        ({"pathvars": {"logs": "my\nlogs"}}, r"pathvars/logs is 'my\nlogs', which holds a line break; rename that folder"),
        ({"pathvars": {"tables": "<x>/t"}}, "pathvars/tables is '<x>/t', which holds a name in <>, which Snakemake takes for"),
        ({"pathvars": {"results": "-out"}}, "pathvars/results is '-out', which begins with a dash; write it as an absolute path"),
        (own_dataset(media_folder="m}"), "datasets/mini-video/media_folder is 'm}', which holds a brace"),
        (own_dataset(questions_file="{q}.jsonl"), "datasets/mini-video/questions_file is '{q}.jsonl', which holds a brace"),
    ],
)
def test_what_snakemake_cannot_have_is_one_line_with_key_and_remedy(tmp_path, changes, message):
    with pytest.raises(InputError) as refused:
        study(tmp_path, **changes)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_brace_in_the_repositorys_own_folder_is_refused(tmp_path, monkeypatch):
    one = study(tmp_path)
    (tmp_path / "{a}").mkdir()
    monkeypatch.setattr(places, "REPOSITORY", tmp_path / "{a}")
    with pytest.raises(InputError, match="the folder of the workflow is '.*{a}', which holds a brace, .*; rename that folder$"):
        places.check_all(one)


def test_a_modules_configuration_changes_the_repositorys():
    found = places.completed({"seed": 3, "datasets": {"mini-video": {"shards": 2}}})
    assert found["seed"] == 3 and found["datasets"]["mini-video"] == {**CONFIG["datasets"]["mini-video"], "shards": 2}
    assert found["models"] == CONFIG["models"]


def test_caches_move_only_if_the_home_folder_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "not/yet/there"))
    assert places.caches(tmp_path, {}) == {}
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file/home"))
    found = places.caches(tmp_path, {"MPLCONFIGDIR": "/mine"})
    assert set(found) == {*places.CACHES} - {"MPLCONFIGDIR"} and found["NUMBA_CACHE_DIR"] == f"{tmp_path}/numba"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert set(places.caches(tmp_path / "x", {})) == {*places.CACHES, "HF_TOKEN_PATH"}, "a read-only home, with a token"
    assert set(places.caches(tmp_path / "x", {"HF_HOME": "/mine"})) == {*places.CACHES}


def test_the_media_folders_state_leaves_out_results_and_logs(tmp_path):
    mine = own_dataset(media_folder=".")
    (tmp_path / "clip.mp4").write_bytes(b"1")
    before = jobs.media_state(study(tmp_path, **mine), "mini-video")
    for name in ("results/miniature", "logs/miniature", "downloads", ".snakemake"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "made.txt").touch()
    assert jobs.media_state(study(tmp_path, **mine), "mini-video") == before != ""
    (tmp_path / "clip.mp4").write_bytes(b"2")
    assert jobs.media_state(study(tmp_path, **mine), "mini-video") != before
    assert jobs.media_state(study(tmp_path), "mini-video") == "", "media that a rule makes are known to Snakemake"
    assert jobs.remake_media(study(tmp_path), "mini-video").endswith("again with --forcerun render_miniature")
