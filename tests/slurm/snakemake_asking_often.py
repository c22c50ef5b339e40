"""Snakemake whose Slurm executor asks every second how its jobs are doing.

By itself it waits ten seconds longer after every look at which nothing had ended, so that a test would mostly wait.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
sys.exit(main())
