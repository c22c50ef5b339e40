"""rules/interrupting.smk: an interrupted run ends its jobs in Slurm, those too that Snakemake does not know at the moment."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from conftest import ROOT
from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

CANCELLED_BY_NAME = "scancel --name this-run"


class Events:
    """What happens, line by line."""

    def __init__(self, path):
        self.path = path

    def add(self, line):
        with self.path.open("a") as file:
            file.write(f"{line}\n")

    def __call__(self):
        return self.path.read_text().splitlines()


@pytest.fixture
def events(monkeypatch, tmp_path):
    """Calls of scancel, for which something stands in, and what else is added; executors are interrupted as in the workflow."""
    happened = Events(tmp_path / "happened")
    program = tmp_path / "scancel"
    program.write_text(f'#!/bin/sh\necho scancel "$@" >>{happened.path}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for kind in (Executor, RemoteExecutor):
        monkeypatch.setattr(kind, "shutdown", lambda executor: happened.add("the end"))
    monkeypatch.setattr(RemoteExecutor, "cancel", RemoteExecutor.cancel)  # if Snakemake renames it, nothing is put in its place
    exec((ROOT / "rules/interrupting.smk").read_text(), {})
    return happened


def executor_of_slurm(known=()):
    """Slurm's executor without its settings. It knows those jobs that it has sent and is not just asking about."""
    executor = Executor.__new__(Executor)
    executor.run_uuid, executor.lock = "this-run", threading.Lock()
    executor.active_jobs = [SimpleNamespace(external_jobid=job) for job in known]
    executor._submitted_job_clusters, executor.logger = set(), None
    executor._job_submission_executor = ThreadPoolExecutor(max_workers=1)
    return executor


def test_jobs_end_that_snakemake_is_just_asking_about(events):
    executor_of_slurm().cancel()
    assert events() == [CANCELLED_BY_NAME, "the end"]


def test_jobs_that_snakemake_knows_are_cancelled_as_before(events):
    executor_of_slurm(known=["7", "8"]).cancel()
    assert events() == [CANCELLED_BY_NAME, "scancel 7 8", "the end"]


def test_a_job_that_is_being_sent_ends_and_no_more_are_sent(events):
    executor, sending = executor_of_slurm(), threading.Event()

    def run_job(job):
        sending.set()
        time.sleep(0.3)
        events.add(f"sent {job}")

    executor.run_job_pre, executor.run_job = lambda job: None, run_job
    for job in ("first", "second", "third"):
        executor._submit_job(job)
    assert sending.wait(30)
    executor.cancel()
    assert events() == ["sent first", CANCELLED_BY_NAME, "the end"]


def test_other_executors_cancel_their_own_jobs(events):
    class Other(RemoteExecutor):
        def __init__(self):
            self.lock, self.active_jobs = threading.Lock(), ["a job"]

        def run_job(self, job): ...

        def check_active_jobs(self, active_jobs): ...

        def cancel_jobs(self, active_jobs):
            events.add(f"cancelled {active_jobs}")

    Other().cancel()
    assert events() == ["cancelled ['a job']", "the end"]
