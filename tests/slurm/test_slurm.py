"""The workflow on a real Slurm of one node with two GPUs that are none: what a cluster does to jobs, and what they make of it.

    make test-slurm     # as root on Debian or Ubuntu: installs Slurm where it is absent; skipped with the reason where it cannot

One story, with profiles/slurm as it is, for a job costs ten seconds of imports: a job is killed for its memory, Snakemake is
interrupted during another and started again; then of two knockouts side by side one runs out of time and one is cancelled.
tests/faults makes jobs large or stuck; the rest is Slurm. The tests read what is left.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import cluster
import pyarrow.parquet as pq
import pytest

QUESTIONS = 8  # of tests/gpus.yaml
A_QUESTION = 6000  # bytes; the header of a knockout's side file has fewer
OUT = "results/miniature/{}/tiny-salmonn/mini-video/{}"
FEATURES = OUT.format("features", "0.safetensors")
FIGURE_3, FIGURE_4 = (OUT.format("knockout", f"{name}/0.parquet") for name in ("figure_3", "figure_4"))
ACTIVE = ("PENDING", "RUNNING", "COMPLETING")
FAULTS = [
    {"in": "preprocess_media.py", "memory_mb": 5000},  # of 4000, then of 8000
    {"in": f"--out {FEATURES}", "until": ["/never", 1], "once": "held"},  # its output is there, the job is not done
    {"in": f"--out {FIGURE_3}", "stuck": A_QUESTION, "once": "stuck-3"},
    {"in": f"--out {FIGURE_4}", "stuck": A_QUESTION, "once": "stuck-4"},
]


def until(condition, what, seconds=300.0):
    """The first true value of condition(); fails when there is none in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not in {seconds:.0f} s"
        time.sleep(0.1)
    return found


def jobs(rule) -> list[dict[str, str]]:
    """Slurm's account of a rule's jobs, ended ones too, in the order of their submission."""
    shown = subprocess.run(["scontrol", "-o", "-d", "show", "job"], capture_output=True, text=True).stdout
    found = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in shown.splitlines()]
    return sorted((job for job in found if job.get("Comment", "").startswith(f"rule_{rule}")), key=lambda job: int(job["JobId"]))


class Workflow:
    """Snakemake in the copy, its jobs in Slurm."""

    def __init__(self, where: Path):
        self.where, self.running = where, []
        self.environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES")}
        faults = [{**fault, **({"once": str(where / fault["once"])} if "once" in fault else {})} for fault in FAULTS]
        self.environment |= {"FAULTS": json.dumps(faults), "PYTHONPATH": str(where / "tests/faults"), "PATH": "/usr/bin:/bin"}

    def start(self, program, *arguments) -> subprocess.Popen:
        command = [sys.executable, *program, *arguments, "--configfile", "config.yaml", "tests/gpus.yaml"]
        heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are deaf to Ctrl-C
        with open(self.where / "run.log", "a") as log:
            self.running.append(
                subprocess.Popen(
                    command, cwd=self.where, stdout=log, stderr=subprocess.STDOUT, env=self.environment, preexec_fn=heard
                )
            )
        return self.running[-1]

    def on_slurm(self, *targets) -> subprocess.Popen:
        program = ["tests/slurm/snakemake_asking_often.py", "--workflow-profile", "profiles/slurm"]
        return self.start(program, *targets)

    def by_shard(self, *targets) -> subprocess.Popen:
        program = ["tests/slurm/snakemake_asking_often.py", "--profile", "profiles/by_shard"]
        return self.start([*program, "--workflow-profile", "profiles/slurm"], *targets)

    def said(self) -> str:
        return (self.where / "run.log").read_text()

    def log(self, rule, name="0.log") -> str:
        path = self.where / f"logs/miniature/{rule}/tiny-salmonn/mini-video/{name}"
        return path.read_text() if path.exists() else ""

    def made(self, *names) -> list[str]:
        """Those of some files, whole or half-made, that are there."""
        return [found for name in names for found in (name, f"{name}.part") if (self.where / found).exists()]

    def some_questions_of(self, out) -> bool:
        """Whether the side file holds a question."""
        side = self.where / f"{out}.partial"
        return side.exists() and side.stat().st_size > A_QUESTION


@pytest.fixture(scope="module")
def slurm():
    try:
        cluster.install()
    except cluster.Unavailable as reason:
        pytest.skip(f"no Slurm on this machine: {reason}")
    with cluster.alone():
        cluster.start()
        yield
        cluster.stop()


def interrupt(workflow) -> list[str]:
    """Ctrl-C before the job that wrote the features has ended; returns what is there of them when it has."""
    run = workflow.on_slurm(FEATURES)
    until(lambda: workflow.made(FEATURES), "features are extracted")
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=120) != 0
    until(lambda: jobs("extract")[-1]["JobState"] not in ACTIVE, "the job has ended", 60)
    return workflow.made(FEATURES)


def disturb(workflow) -> dict:
    """While two knockouts run, cut the time of one short and cancel the other; returns what was seen."""
    until(lambda: all(map(workflow.some_questions_of, (FIGURE_3, FIGURE_4))), "both knockouts have finished a question")
    seen = {"jobs": jobs("knockout"), "logs": [workflow.log("knockout", f"{name}/0.log") for name in ("figure_3", "figure_4")]}
    third, fourth = (next(j["JobId"] for j in seen["jobs"] if f"figure_{n}" in j["Comment"]) for n in "34")
    soon = f"{datetime.now() + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}"
    subprocess.run(["scontrol", "update", f"JobId={fourth}", f"EndTime={soon}"], check=True)
    subprocess.run(["scancel", third], check=True)
    state = lambda: next(job["JobState"] for job in jobs("knockout") if job["JobId"] == third)
    until(lambda: state() not in ACTIVE, "the cancelled job has ended", 60)
    return seen | {"left by the cancelled job": workflow.made(FIGURE_3)}


@pytest.fixture(scope="module")
def story(slurm, copy):
    """All that happens, and in `seen` what can only be seen meanwhile."""
    workflow = Workflow(copy)
    try:
        first = workflow.start(["-m", "snakemake"], "results/miniature/questions/mini-video.jsonl", "--cores", "2")
        assert first.wait() == 0, workflow.said()[-6000:]
        workflow.seen = {"left by the interrupted run": interrupt(workflow)}
        run = workflow.on_slurm(FIGURE_3, FIGURE_4)
        workflow.seen |= disturb(workflow)
        assert run.wait(timeout=400) == 0, workflow.said()[-6000:]
    finally:
        for process in workflow.running:
            process.kill()
    return workflow


def test_jobs_go_to_the_partition_of_their_kind_with_what_their_rules_ask_for(story):
    asked = lambda job: [job.get(key) for key in ("Partition", "JOB_GRES", "MinMemoryNode", "TimeLimit")]
    assert asked(jobs("preprocess")[0]) == ["cpu", "(null)", "4000M", "01:00:00"]
    assert asked(jobs("extract")[0]) == ["gpu", "gpu:fake:1", "16000M", "01:00:00"]
    assert asked(jobs("evaluate")[0]) == ["gpu", "gpu:fake:1", "8000M", "01:00:00"]
    assert {job["Partition"] for job in jobs("knockout")} == {"gpu"}


def test_a_job_killed_for_its_memory_is_tried_again_with_twice_as_much(story):
    killed, again = jobs("preprocess")
    assert killed["JobState"] == "FAILED" and "exceeded memory limit" in Path(killed["StdOut"]).read_text()
    assert again["JobState"] == "COMPLETED" and again["MinMemoryNode"] == "8000M" and again["TimeLimit"] == "02:00:00"


def test_an_interrupted_run_ends_its_jobs_leaves_nothing_half_made_and_goes_on(story):
    cancelled, again = jobs("extract")
    assert cancelled["JobState"] == "CANCELLED" and story.seen["left by the interrupted run"] == []
    assert again["JobState"] == "COMPLETED" and again["MinMemoryNode"] == "16000M", "a new run is no retry"
    assert len(jobs("preprocess")) == 2, "what was finished is not done again"


def test_two_gpu_jobs_at_once_have_a_device_each(story):
    assert [job["JobState"] for job in story.seen["jobs"]] == ["RUNNING", "RUNNING"]
    assert {job["GRES"] for job in story.seen["jobs"]} == {"gpu:fake:1(IDX:0)", "gpu:fake:1(IDX:1)"}
    given = [re.search(r"^GPU (\d), given by Slurm$", log, re.MULTILINE)[1] for log in story.seen["logs"]]
    assert set(given) == {"0", "1"}


def finished_before(story, figure) -> int:
    """How many questions the last try found finished; all of them must be in the table, once."""
    found, asked = map(
        int, re.search(r"(\d+) of (\d+) questions were finished before", story.log("knockout", f"{figure}/0.log")).groups()
    )
    rows = pq.read_table(story.where / OUT.format("knockout", f"{figure}/0.parquet")).to_pandas()
    null = rows[rows["control"] == "null"]["question_id"]
    assert asked == len(null) == null.nunique() == QUESTIONS
    return found


def test_a_job_out_of_time_goes_on_where_it_was_with_twice_the_time(story):
    stopped, again = (job for job in jobs("knockout") if "figure_4" in job["Comment"])
    assert stopped["JobState"] == "TIMEOUT" and again["JobState"] == "COMPLETED"
    assert again["TimeLimit"] == "04:00:00" and again["MinMemoryNode"] == "32000M"
    assert 0 < finished_before(story, "figure_4") < QUESTIONS


def test_a_cancelled_job_leaves_nothing_half_made_and_goes_on_where_it_was(story):
    cancelled, again = (job for job in jobs("knockout") if "figure_3" in job["Comment"])
    assert cancelled["JobState"] == "CANCELLED" and again["JobState"] == "COMPLETED"
    assert story.seen["left by the cancelled job"] == []
    assert 0 < finished_before(story, "figure_3") < QUESTIONS
    assert not list((story.where / "results").rglob("*.part")) and not list((story.where / ".snakemake/incomplete").iterdir())


def test_a_shard_is_one_submission_whose_jobs_take_turns_on_one_gpu(story):
    for stage in ("features", "evaluate", "knockout"):
        shutil.rmtree(story.where / f"results/miniature/{stage}")
    run = story.by_shard(FIGURE_3, FIGURE_4)
    assert run.wait(timeout=400) == 0, story.said()[-6000:]
    (job,) = jobs("shard")
    asked = [job.get(key) for key in ("JobState", "Partition", "JOB_GRES", "MinMemoryNode", "TimeLimit")]
    assert asked == ["COMPLETED", "gpu", "gpu:fake:1", "16000M", "01:40:00"], "of 20 + 20 + 2 * 30 minutes"
    ended = sorted((story.where / "logs/miniature").glob("knockout/tiny-salmonn/mini-video/*/0.log"), key=os.path.getmtime)
    assert story.made(FIGURE_3, FIGURE_4) == [FIGURE_3, FIGURE_4] and len(ended) == 2
    second = pq.read_metadata(story.where / FIGURE_3 if "figure_3" in str(ended[1]) else story.where / FIGURE_4)
    seconds = json.loads(second.metadata[b"avflow"])["seconds"]
    assert os.path.getmtime(ended[1]) - os.path.getmtime(ended[0]) > seconds, "one after the other"
