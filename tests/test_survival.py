"""What a night on a cluster does to a run: kills, full and read-only disks, damaged files, two Snakemakes at once.

Each test injects its fault into the real knockouts of a few questions, starts again, and holds the rows to those of a run that
nothing disturbed: every question is there, none was asked twice, and the data are equal byte for byte.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from avflow import rows

QUESTIONS, MODEL = 8, "tiny-salmonn"
STUDY = f"""
study: short
studies: {{short: {{main_model: {MODEL}, video: mini-video, items: mini-video, models: [{MODEL}], datasets: [mini-video]}}}}
datasets: {{mini-video: {{tasks: [hear], questions: {QUESTIONS}, knockout_questions: {QUESTIONS}}}}}
knockout: {{verify: 0, cuts: {{figure_4: {{stride: 1}}}}}}
"""
SHARD = f"{MODEL}/mini-video/figure_4/0.parquet"
OUT = f"results/short/knockout/{SHARD}"
FEATURES = f"results/short/features/{MODEL}/mini-video/0.safetensors"


class Run:
    """A Snakemake that makes one shard of knockouts, in a group of processes of its own."""

    def __init__(self, where: Path, *arguments: str):
        settings = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-m", "snakemake", *(arguments or [OUT]), "--cores", "1"]
        command += ["--configfile", "config.yaml", "short.yaml"]
        self.log = where / f"run_{time.monotonic_ns()}.txt"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, cwd=where, stdout=log, stderr=log, env=settings, start_new_session=True)

    def said(self) -> str:
        return self.log.read_text()

    def ends(self) -> int:
        return self.process.wait(timeout=300)

    def rule(self) -> psutil.Process:
        """The process of knockout.py itself."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if any(part.endswith("knockout.py") for part in process.cmdline()[1:2]):
                return process
        raise AssertionError(self.said())


def asked(where: Path) -> Counter:
    """How often each question stands among the whole records of the side file."""
    side = where / f"{OUT}.partial"
    data, at, found = side.read_bytes() if side.exists() else b"", len(rows.MAGIC), Counter()
    while len(frame := data[at : at + rows.FRAME.size]) == rows.FRAME.size:
        at += rows.FRAME.size + rows.FRAME.unpack(frame)[0]
        found[data[at - rows.FRAME.unpack(frame)[0] : at].partition(b"\0")[0].decode("latin1")] += at <= len(data)
    return Counter({name: count for name, count in found.items() if name.startswith("mini_video")})


def until(true, run: Run) -> None:
    """Wait for something to become true while a run goes on."""
    while not true():
        assert run.process.poll() is None, run.said()
        time.sleep(0.01)


def data(path: Path) -> bytes:
    """A table's columns as bytes, without the metadata, in which times and dates stand."""
    sink = pa.BufferOutputStream()
    table = pq.read_table(path).replace_schema_metadata().combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study with its knockouts made by a run that nothing disturbed; with that run, and one begun while it was going on."""
    where = tmp_path_factory.mktemp("study")
    for name in ("Snakefile", "config.yaml", "rules", "schemas", "workflow_scripts", "figures", "envs", "profiles"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, where / name)
    for name in ("resources", "report", "benchmarks"):
        (where / name).symlink_to(ROOT / name)
    (where / "short.yaml").write_text(STUDY)
    first = Run(where)
    until(lambda: (where / ".snakemake/locks").is_dir() and list((where / ".snakemake/locks").iterdir()), first)
    second = Run(where)
    assert first.ends() == 0, first.said()
    second.ends()
    return where, first, second


@pytest.fixture
def undisturbed(study):
    """The study's folder without knockouts, and their data from the run that nothing disturbed."""
    where = study[0]
    kept = where / "undisturbed.parquet"
    if not kept.exists():
        shutil.move(where / OUT, kept)
    for path in (where / OUT, where / f"{OUT}.partial"):
        path.unlink(missing_ok=True)
    return where, data(kept)


def all_asked_once(where: Path) -> bool:
    return len(asked(where)) == QUESTIONS and set(asked(where).values()) == {1}


def test_a_second_snakemake_is_refused_and_does_not_disturb_the_first(study):
    where, first, second = study
    assert second.process.returncode == 1 and "Directory cannot be locked" in second.said()
    assert "6 of 6 steps (100%) done" in first.said()
    (table,) = (path for path in (where / OUT, where / "undisturbed.parquet") if path.exists())
    assert len(set(pq.read_table(table)["question_id"].to_pylist())) == QUESTIONS


def test_a_rule_that_is_killed_is_tried_again_and_goes_on_where_it_was(undisturbed):
    where, wanted = undisturbed
    run = Run(where)
    until(lambda: len(asked(where)) >= 2, run)
    run.rule().kill()
    assert run.ends() == 0, run.said()
    assert f"0 of {QUESTIONS} questions were finished before" in run.said() and "Trying to restart job" in run.said()
    assert any(f"{n} of {QUESTIONS} questions were finished before" in run.said() for n in range(2, QUESTIONS))
    assert all_asked_once(where) and data(where / OUT) == wanted


def test_when_snakemake_is_killed_its_job_goes_on_and_the_next_one_waits_for_it(undisturbed):
    where, wanted = undisturbed
    run = Run(where)
    until(lambda: len(asked(where)) >= 2, run)
    orphan = run.rule()
    orphan.suspend()
    run.process.kill()
    run.ends()
    refused = Run(where)
    assert refused.ends() == 1 and "--unlock" in refused.said()
    assert Run(where, "--unlock").ends() == 0
    again = Run(where)
    until(lambda: "0.parquet.partial: another process still writes it; waiting" in again.said(), again)
    assert len(asked(where)) < QUESTIONS
    orphan.resume()
    assert again.ends() == 0, again.said()
    assert f"{QUESTIONS} of {QUESTIONS} questions were finished before" in again.said()
    assert all_asked_once(where) and data(where / OUT) == wanted


def test_when_all_is_killed_at_once_the_next_run_asks_only_what_is_left(undisturbed):
    where, wanted = undisturbed
    run = Run(where)
    until(lambda: len(asked(where)) >= 3, run)
    os.killpg(run.process.pid, signal.SIGKILL)
    run.ends()
    finished = len(asked(where))
    assert 3 <= finished < QUESTIONS and not (where / OUT).exists()
    assert Run(where, "--unlock").ends() == 0
    again = Run(where)
    assert again.ends() == 0, again.said()
    assert f"{finished} of {QUESTIONS} questions were finished before" in again.said()
    assert all_asked_once(where) and data(where / OUT) == wanted
