"""Bad input is not tried again, because the same command would end in the same way.

A profile's `retries` are for jobs that were killed, or ran out of memory or time. Snakemake looks up a job's retries when the job
has failed. By then its log says why: bad input is one line at its end, see avflow/cli.py.
"""

import time

from snakemake.jobs import GroupJob, Job

from avflow import cli

planned_at = time.time()


def refused(job):
    """Whether a job of this repository ended with a line about bad input, since this Snakemake began."""
    ours = Path(str(job.rule.snakefile)).is_relative_to(places.REPOSITORY)
    return ours and any(cli.refused(log, planned_at) for log in job.log)


def unless_refused(kind, jobs):
    """Let a kind of job have no retries if one of its `jobs` was refused."""
    retries = kind.restart_times.fget
    kind.restart_times = property(lambda job: 0 if any(map(refused, jobs(job))) else retries(job))


unless_refused(Job, lambda job: [job])
unless_refused(GroupJob, lambda group: group.jobs)
