"""Let an interrupted Snakemake end all jobs that it has sent to Slurm, and send no more.

While Snakemake asks Slurm how its jobs are doing, and while it sends a job, it does not have that job in its list of running ones.
Interrupted then, it would end without a word and leave the job running, beside the one that the next run starts. Jobs that wait to
be sent it would even send. But all jobs of a run have the run's name in Slurm, so they can be cancelled by it.
"""

import subprocess

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

cancel_known = RemoteExecutor.cancel


def cancel_all(executor):
    """Cancel the jobs of this run, in Slurm by the run's name. In place of the executor's own method."""
    name = getattr(executor, "run_uuid", None)
    if name:
        executor._job_submission_executor.shutdown(wait=True, cancel_futures=True)
        subprocess.run(["scancel", "--name", name])
    cancel_known(executor)


RemoteExecutor.cancel = cancel_all
