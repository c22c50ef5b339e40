"""Your own questions: the example of docs/adding_a_dataset.md as it stands there, and what a mistake in a line says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from test_benchmarks_video import reasons, table
from test_workflow import copy, snakemake  # noqa: F401 (a fixture)

from avflow.errors import InputError
from avflow.questions import own_questions, preparation
from avflow.questions.question import read_questions

DOCUMENT = (ROOT / "docs/adding_a_dataset.md").read_text()


def written_as_documented(where: Path) -> list[str]:
    """Write the files that the document shows; returns the commands of its first block."""
    (where / "mine").mkdir()
    for name, content in re.findall(r"`(mine/[\w.]+)`:\n\n```\w+\n(.*?)```", DOCUMENT, re.DOTALL):
        (where / name).write_text(content)
    return re.search(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)[1].splitlines()


def test_the_documents_example_runs_as_it_stands(copy):  # noqa: F811
    for command in written_as_documented(copy):
        subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=copy, check=True, capture_output=True)
    answers = "results/mine/evaluate/tiny-omni/my-clips/0.parquet"
    targets = ["fig4", answers, "results/mine/questions/my-items.jsonl"]
    run = snakemake(copy, *targets, "--cores", "2", "--configfile", "config.yaml", "mine/config.yaml", small=False)
    assert run.returncode == 0, run.stdout[-3000:]
    found = pq.read_table(copy / answers).to_pandas()
    assert sorted(found["question_id"]) == ["my_clips__1", "my_clips__2", "my_clips__3"]
    assert found["correct"].all()
    assert (copy / "results/mine/figures/fig4.png").stat().st_size > 5000
    cuts = pq.read_table(copy / "results/mine/tables/knockout_figure_4.parquet").to_pandas()
    hear = cuts[(cuts["task"] == "hear") & (cuts["control"] == "none")]
    assert hear.groupby("route")["kl"].max().idxmax() in ("audio->question", "question->last")
    assert reasons(table(copy / "results/mine/questions/my-clips.dropped.tsv")) == {"my_clips__4": "missing"}
    (item,) = read_questions(copy / "results/mine/questions/my-items.jsonl")
    assert (item.correct_candidate, item.cluster, item.group) == ("c1", "my_items__image-to-audio_0001_r1", "I2A")
    assert [s.get("id", s["seg"]) for s in item.layout] == ["c1", "c2", "c3", "c4", "question", "r1", "options", "instruction"]


@pytest.fixture
def lines(tmp_path):
    """The document's questions about clips, as objects."""
    written_as_documented(tmp_path)
    return [json.loads(line) for line in (tmp_path / "mine/clips.jsonl").read_text().splitlines()]


def taken(lines, tmp_path, setting="av_video"):
    """What a file of these lines gives: the questions, and the dropped ones by reason."""
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    options = [
        "--type",
        "questions",
        "--dataset",
        "mine",
        "--setting",
        setting,
        "--root",
        str(tmp_path),
        "--instruction",
        "Choose.",
    ]
    options += ["--questions-file", str(path)]
    outputs = [part for name in ("questions", "media", "dropped") for part in (f"--{name}", str(tmp_path / name))]
    intake = preparation.Intake(preparation.parser("").parse_args([*options, *outputs]))
    own_questions.collect(intake)
    return intake.questions, {d.question_id: d.reason for d in intake.dropped}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: "{", r"q\.jsonl, line 2: not JSON \(.*\); write one object per line"),
        (lambda q: "[]", r"q\.jsonl, line 2: found list instead of an object"),
        (
            lambda q: {k: v for k, v in q.items() if k != "answer"},
            r"line 2: the question has no answer; needed: answer, media, options,",
        ),
        (lambda q: {**q, "anser": "A"}, r"line 2: the question has a key 'anser'; known: answer, flags, group"),
        (
            lambda q: {**q, "media": [{"file": "a.mp4", "kind": "video"}]},
            r"line 2: an entry of media has no path; needed: kind, path",
        ),
        (lambda q: {**q, "options": "A, B"}, r"line 2: options is not a list; write a list"),
        (
            lambda q: {**q, "media": [{**q["media"][0], "role": "clip"}]},
            r"line 2: role 'clip' of single_0001\.mp4 is unknown; known: video,",
        ),
        (lambda q: {**q, "layout_name": "original"}, r"line 2: layout_name 'original' is the name of a built-in order"),
    ],
)
def test_a_mistake_in_a_line_is_named_with_its_line(lines, tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        taken([lines[0], change(lines[1]), *lines[2:]], tmp_path)
    assert "\n" not in str(caught.value)


def test_questions_that_cannot_be_asked_are_dropped_and_the_others_kept(lines, tmp_path):
    lines[0]["answer"] = "E"
    lines[1]["options"] = ["circle", "circle", "cross"]
    lines[2]["media"][0]["kind"] = "film"
    found, dropped = taken(lines, tmp_path)
    assert [q.question_id for q in found] == ["mine__4"]
    assert dropped == {"mine__1": "bad_answer", "mine__2": "same_options", "mine__3": "invalid"}


def test_a_layout_of_ones_own_is_taken_as_it_is(lines, tmp_path):
    layout = [{"seg": "question", "text": "Which?"}, {"seg": "options"}, {"seg": "media", "id": "v1"}]
    (question, *_), _ = taken([{**lines[0], "layout": layout}], tmp_path)
    assert question.layout == tuple(layout) and question.layout_name == "own"
    assert question.media[0].media_id == "mine__single_0001" and question.group == "hear"


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path):
    options = ["--type", "questions", "--dataset", "mine", "--setting", "av_video", "--root", str(tmp_path)]
    options += ["--questions-file", str(tmp_path / "none.jsonl")]
    outputs = [part for name in ("questions", "media", "dropped") for part in (f"--{name}", str(tmp_path / name))]
    intake = preparation.Intake(preparation.parser("").parse_args([*options, *outputs]))
    with pytest.raises(InputError, match=r"none\.jsonl: No such file or directory; questions_file in config\.yaml must name"):
        own_questions.collect(intake)
