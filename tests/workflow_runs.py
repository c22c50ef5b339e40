"""Run Snakemake in a copy of the repository, and read what it plans."""

import atexit
import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PRELOADED = Path(__file__).parents[1] / "workflow_scripts" / "preloaded"


@functools.cache
def preloaded() -> dict[str, str]:
    """Settings with which Snakemake and its jobs start as forks of one process that has loaded what they import.

    The process ends with this one. Tests in which processes are killed, or in which importing itself matters, do without.
    """
    server, settings = loaded_process("snakemake.cli")
    atexit.register(server.communicate)
    return settings


def loaded_process(*modules: str) -> tuple[subprocess.Popen, dict[str, str]]:
    """The process, which ends once its stdin is closed, and the settings with which others are handed over to it."""
    path = Path(tempfile.mkdtemp(prefix="preloaded")) / "socket"
    settings = {**os.environ, "PYTHONPATH": str(PRELOADED), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, PRELOADED / "server.py", path, *modules], env=settings, **pipes)
    assert server.stdout.readline() == b"ready\n"
    return server, {"PYTHONPATH": str(PRELOADED), "PRELOADED": f"{sys.prefix}:{path}"}


def as_a_user(*without: str) -> dict[str, str]:
    """The environment of someone who has activated none, without some more of its variables."""
    return {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", *without)} | {"PATH": "/usr/bin:/bin"}


def snakemake(where, *arguments, small=True):
    """Run Snakemake as `make` does."""
    extra = ["--configfile", "config.yaml", "tests/small.yaml"] if small else []
    environment = as_a_user() | preloaded()
    command = [sys.executable, "-m", "snakemake", *arguments, *extra]
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
