"""The example of docs/adding_a_dataset.md runs as printed."""

import json
import shlex
import subprocess
import sys

import pyarrow.parquet as pq
from prepared import reasons, table, written_as_documented
from workflow_runs import snakemake

from avflow.questions.question import read_questions


def test_the_documents_example_runs_as_it_stands(copy):
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


def test_a_mistake_in_a_line_is_named_and_not_tried_again(copy):
    (copy / "wrong").mkdir()
    (copy / "wrong/clips.jsonl").write_text('{"question_id": "1", "task": "hear"\n')
    own = {
        "type": "questions",
        "setting": "av_video",
        "questions_file": "wrong/clips.jsonl",
        "media_folder": "wrong",
        "shards": 1,
    }
    study = {"main_model": "tiny-omni", "video": "wrong", "items": "wrong", "models": ["tiny-omni"], "datasets": ["wrong"]}
    (copy / "wrong/config.json").write_text(
        json.dumps({"study": "wrong", "studies": {"wrong": study}, "datasets": {"wrong": own}})
    )
    target = "results/wrong/questions/wrong.jsonl"
    run = snakemake(copy, target, "--cores", "2", "--configfile", "config.yaml", "wrong/config.json", small=False)
    assert run.returncode != 0 and "error: wrong/clips.jsonl, line 1" in run.stdout
    assert "Trying to restart job" not in run.stdout and "retries: 1" in (copy / "profiles/default/config.yaml").read_text()
