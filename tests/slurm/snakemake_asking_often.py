"""Snakemake whose Slurm executor asks without pause how its jobs are doing, for a second each time.

By itself it waits ten seconds longer after every look at which nothing had ended, so that a test would mostly wait. And a
Ctrl-C would seldom come during a look, when Snakemake does not know its jobs; here it always does.
"""

import asyncio
import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

look = Executor.check_active_jobs


async def look_long(executor, jobs):
    await asyncio.sleep(1)
    async for job in look(executor, jobs):
        yield job


Executor.check_active_jobs = look_long
Executor.next_seconds_between_status_checks = property(lambda self: 0, lambda self, seconds: None)
sys.exit(main())
