"""A changed medium reruns its own shard. The run has odd paths, another working directory, and a home nobody can write."""

import json
import os
import re
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml
from examples import pictures, tone
from workflow_runs import as_a_user, planned, preloaded

from avflow.media import SAMPLE_RATE, files
from avflow.questions import read_questions

SIGNS = 'it\'s "a" $HOME; b & 100% ü'
NAMES = ["one", "zwei ü", "it's $3", "-4"]

STUDY = {
    "study": "mine",
    "studies": {"mine": dict(main_model="tiny-omni", video="my-clips", items="my-clips", models=["tiny-omni"])},
    "datasets": {
        "my-clips": {
            "type": "questions",
            "setting": "av_video",
            "media_folder": f"-clips {SIGNS}",
            "questions_file": "my questions.jsonl",
            "ending": "The answer is:",
            "shards": 2,
        }
    },
    "pathvars": {"results": f"results {SIGNS}", "logs": "my logs", "downloads": "down loads"},
}
STUDY["studies"]["mine"]["datasets"] = ["my-clips"]
ANSWERS = f"results {SIGNS}/tables/evaluate/my-clips.parquet"
FIGURE = f"results {SIGNS}/figures/app_training.png"


def snakemake(repository, where, *arguments, **settings):
    """Run Snakemake in `where`, as a user whose home folder cannot be written."""
    settings |= as_a_user("MPLCONFIGDIR", "XDG_CACHE_HOME") | {"HOME": "/dev/null/home"}
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        repository / "Snakefile",
        "--directory",
        where,
        "--cores",
        "2",
        *arguments,
    ]
    done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def clip(path, level):
    files.write_clip(path, pictures(), 10, level * tone(2.0, SAMPLE_RATE), SAMPLE_RATE)


@pytest.fixture(scope="module")
def done(copy):
    """The repository and another working directory, in which four clips in two shards were asked about."""
    repository, where = copy.parent / f"repo {SIGNS}", copy.parent / f"work {SIGNS}"
    shutil.copytree(copy, repository)
    folder = where / STUDY["datasets"]["my-clips"]["media_folder"]
    (folder / "sub").mkdir(parents=True)
    rows = []
    for n, name in enumerate(NAMES):
        path = f"{'sub/' * (n % 2)}{name}.mp4"
        clip(folder / path, 0.2 + n / 10)
        media = [{"path": path, "kind": "video", "media_id": f"m{n}"}]
        row = {"question_id": str(n), "task": "see", "question": "Which?", "options": ["a", "b"], "answer": "A", "media": media}
        rows.append(json.dumps(row) + "\n")
    (where / "my questions.jsonl").write_text("".join(rows))
    (where / "config.yaml").write_text(yaml.safe_dump(STUDY))
    snakemake(repository, where, ANSWERS, FIGURE)
    return repository, where, folder


def test_a_run_with_any_signs_in_its_paths_and_no_home_gives_every_row_and_figure(done):
    _, where, _ = done
    rows = pq.read_table(where / ANSWERS).to_pandas()
    assert sorted(rows["question_id"]) == [f"my_clips__{n}" for n in range(4)]
    assert (where / FIGURE).stat().st_size > 5000
    shards = {q.shard(2) for q in read_questions(where / f"results {SIGNS}/questions/my-clips.jsonl")}
    assert shards == {0, 1}, "both shards have clips"
    assert not (where / "resources").exists() and not (where / "workflow_scripts").exists()


def again(done, *arguments) -> str:
    return snakemake(*done[:2], ANSWERS, *arguments, **preloaded())


def planned_now(done) -> dict[str, int]:
    """The jobs that the next call would run."""
    said = again(done, "--dry-run")
    return {} if "Nothing to be done" in said else planned(said)


def test_only_what_depends_on_a_changed_medium_runs_again(done):
    _, where, folder = done
    asked = read_questions(where / f"results {SIGNS}/questions/my-clips.jsonl")
    of_first = next(q for q in asked if q.shard(2) == 0)
    path = folder / of_first.media[0].path
    shard = {"preprocess_media": 1, "extract_features": 1, "evaluate": 1}
    whole = {"prepare": 1, "shard_media_my-clips": 1, **shard, "gather_answers": 1}
    assert planned_now(done) == {}

    other = pq.read_table(where / f"results {SIGNS}/evaluate/tiny-omni/my-clips/1.parquet").to_pandas()
    first, before = path.read_bytes(), os.stat(path)
    clip(path, 0.9)  # overwritten in place
    assert planned_now(done) == whole
    said = again(done)
    assert "wildcards: model=tiny-omni, dataset=my-clips, shard=0" in said and "shard=1" not in said
    assert f"{len(whole)} of {len(whole)} steps (100%) done" in said and planned_now(done) == {}

    now = path.read_bytes()
    path.with_name("older.mp4").write_bytes(first)
    os.utime(path.with_name("older.mp4"), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(path.with_name("older.mp4"), path)  # replaced by an older file
    assert planned_now(done) == whole
    path.write_bytes(now)  # the same bytes, with a new date
    assert planned_now(done) == {"prepare": 1}
    (folder / "sub/deep").mkdir()
    (folder / "sub/deep/notes.txt").touch()
    assert planned_now(done) == {"prepare": 1}
    again(done)
    folder.touch()
    assert planned_now(done) == {}

    path.unlink()
    assert planned_now(done) == {**whole, "evaluate": 2}, "fewer questions of a task may shift which ones are the first"
    again(done)
    log = (where / "my logs/evaluate/tiny-omni/my-clips/1.log").read_text()
    finished, asked = map(int, re.search(r"(\d+) of (\d+) questions were finished before", log).groups())
    assert finished == asked == len(other) and planned_now(done) == {}
    assert pq.read_table(where / f"results {SIGNS}/evaluate/tiny-omni/my-clips/1.parquet").to_pandas().equals(other)


def test_another_workflow_uses_the_rules_as_a_module(copy):
    where = copy.parent / "outer"
    where.mkdir()
    (where / "Snakefile").write_text(
        f'module avflow:\n    snakefile: "{copy}/Snakefile"\n    config: config\n\nuse rule * from avflow as avflow_*\n\n'
        'rule all:\n    default_target: True\n    input: "results/miniature/figures/fig4.png"\n'
    )
    (where / "mine.yaml").write_text("seed: 1\n")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--configfile", "mine.yaml"]
    settings = {**os.environ, **preloaded()}
    run = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "rule avflow_knockout:" in run.stdout and f"{copy}/workflow_scripts/knockout.py" in run.stdout
