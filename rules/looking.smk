"""Let Snakemake look for jobs to start without end and delay, and end with its last job.

After every look that leaves jobs waiting, Snakemake sets a timer of the timespan of `max-jobs-per-timespan` for another look, as its
limit of jobs may then be lifted. Timers of earlier looks go on, so looks multiply with the jobs that have ended: most of
Snakemake's own time in a run of some hundred short jobs. And a timer keeps Snakemake from ending. Here at most one is set at a
time, and it does not outlast the run. A job that ends still makes Snakemake look at once.
"""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def look_later(scheduler, delay):
    """Look for jobs to start after `delay` seconds, unless that is already due. In place of the scheduler's own method."""
    due = getattr(scheduler, "_avflow_due", None)
    if due is None or not due.is_alive():
        scheduler._avflow_due = threading.Timer(delay, scheduler._open_jobs.release)
        scheduler._avflow_due.daemon = True
        scheduler._avflow_due.start()


JobScheduler._schedule_reevalutation = look_later
