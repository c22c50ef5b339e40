"""rules/looking.smk: at most one timer is set for Snakemake's next look for jobs, and it keeps nothing from ending."""

import threading

from conftest import ROOT
from snakemake.scheduling.job_scheduler import JobScheduler


def test_one_timer_at_a_time_that_does_not_outlast_the_run(monkeypatch):
    own = JobScheduler._schedule_reevalutation  # if Snakemake renames it, nothing is put in its place
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", own)
    exec((ROOT / "rules/looking.smk").read_text(), {})
    assert JobScheduler._schedule_reevalutation is not own
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._open_jobs = threading.Semaphore(0)
    set_before = threading.active_count()
    for _ in range(3):
        scheduler._schedule_reevalutation(0.05)
    (timer,) = (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
    assert timer.daemon and threading.active_count() == set_before + 1
    assert scheduler._open_jobs.acquire(timeout=30)
    timer.join()
    assert not scheduler._open_jobs.acquire(blocking=False), "one look for all three"
    scheduler._schedule_reevalutation(0.05)
    assert scheduler._open_jobs.acquire(timeout=30), "and another one later"
