"""Run Snakemake in a copy of the repository, and read what it plans."""

import os
import re
import subprocess
import sys


def snakemake(where, *arguments, small=True, few=True):
    """Run Snakemake as `make` does, in no activated environment.

    few: of the jobs, so that it may look for new ones every second and end sooner. Each finished job adds one look each time.
    """
    extra = ["--configfile", "config.yaml", "tests/small.yaml"] if small else []
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    environment["PATH"] = "/usr/bin:/bin"
    ending = ["--max-jobs-per-timespan", "500/1s"] if few else []  # Snakemake ends at most so much later than its last job
    command = [sys.executable, "-m", "snakemake", *arguments, *extra, *ending]
    return subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def planned(output) -> dict[str, int]:
    """Rule, or figure or table that one rule makes for many, -> number of jobs of a dry run."""
    table = output[output.index("Job stats:") :].split("total")[0]
    jobs = {m[1]: int(m[2]) for m in re.finditer(r"^([\w-]+) +(\d+)$", table, re.MULTILINE)}
    for rule, wildcard in (("figure", "figure"), ("figure_with_csv", "figure"), ("task_table", "table")):
        if jobs.pop(rule, 0):
            jobs |= dict.fromkeys(
                re.findall(rf"^(?:local)?rule {rule}:$.*?^    wildcards: {wildcard}=(\w+)$", output, re.M | re.S), 1
            )
    return jobs
