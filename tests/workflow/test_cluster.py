"""Resources that jobs ask a cluster for, checked without one; and the reasons why tests on Slurm are skipped."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter

import pytest
import workflow_runs
import yaml
from conftest import ROOT

from avflow import jobs
from avflow.study import Study
from avflow.tracing import costs, planned_jobs
from avflow.tracing.rates import Rates
from avflow.tracing.study_costs import StudyCosts

sys.path.insert(0, str(ROOT / "tests/slurm"))
import cluster  # noqa: E402

RULES = [text for path in (ROOT / "rules").glob("*.smk") for text in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]]
EVERY = {text.split(":")[0] for text in RULES if "params:\n        model=ask(jobs.model" in text}
LOADING = EVERY - {"resample", "conflict", "where"}  # in the paper's study, only on request


def snakemake(*configs):
    command = [sys.executable, "-m", "snakemake", "all", "app_sensitivity", "app_conflict", "app_where"]
    command += ["--dry-run", "--forceall", "--printshellcmds"]
    command += ["--workflow-profile", "profiles/slurm", "--configfile", "config.yaml", *configs]
    return planning(command)


def planning(command):
    settings = {**os.environ, **workflow_runs.preloaded()}
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings)


def planned(*configs) -> dict[str, tuple[dict[str, str], str]]:
    """Rule -> what one of its jobs would ask for, and its command."""
    run = snakemake(*configs)
    assert run.returncode == 0, run.stdout[-3000:]
    found = {}
    for text in re.split(r"^rule (?=\w+:$)", run.stdout, flags=re.MULTILINE)[1:]:
        asked = re.search(r"^    resources: (.*)$", text, re.MULTILINE)
        command = re.search(r"^Shell command: (.*)$", text, re.MULTILINE)
        found[text.split(":")[0]] = dict(re.findall(r"(\w+)=(\d+)", asked[1])), command[1] if command else ""
    return found


def test_every_job_that_loads_a_model_asks_for_a_gpu_memory_and_time():
    plan = planned("tests/gpus.yaml")
    here = EVERY - {"extract_features_again"}  # only where features are not kept
    assert {rule for rule, (asked, _) in plan.items() if "gpu" in asked} == here == here & plan.keys() and len(here) == 12
    for rule in here:
        asked, command = plan[rule]
        assert asked["gpu"] == "1" and int(asked["mem_mb"]) >= 8000 and int(asked["runtime"]) >= 60
        assert "--device" not in command
    assert all(asked["mem_mb"] and asked["runtime"] for asked, _ in plan.values() if asked)


def test_jobs_of_a_model_without_gpus_ask_for_none_and_leave_those_of_the_machine_alone():
    plan = planned()
    assert not [rule for rule, (asked, _) in plan.items() if asked.get("gpu", "0") != "0"]
    assert all("--device cpu" in plan[rule][1] for rule in EVERY & plan.keys())


def test_more_gpus_for_a_job_than_it_can_use_are_refused(tmp_path):
    (tmp_path / "two.yaml").write_text("models: {tiny-omni: {gpus: 2}}")
    run = snakemake(str(tmp_path / "two.yaml"))
    assert run.returncode != 0 and "gpus is 2, which is unknown; known: 0, 1" in run.stdout and "gpus" in run.stdout


def test_a_shard_is_one_submission_and_estimate_counts_all_jobs_as_they_are_planned(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"study": "paper"}
    few = {name: {"shards": 2 + 3 * i} for i, name in enumerate(config["studies"]["paper"]["datasets"])}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump({"study": "paper", "datasets": few}))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--profile", "profiles/by_shard"]
    command += ["--workflow-profile", "profiles/slurm", "--configfile", "config.yaml", str(tmp_path / "few.yaml")]
    run = planning(command)
    assert run.returncode == 0, run.stdout[-3000:]
    config["datasets"] = {name: told | few.get(name, {}) for name, told in config["datasets"].items()}
    told = shlex.split(jobs.estimate(Study(config, ROOT)))
    facts = costs.facts_of(costs.rows_of(ROOT / "resources/published/datasets.csv"))
    shapes = costs.shapes_of(costs.rows_of(ROOT / "resources/published/models.csv"))
    rates = Rates(*(json.loads((ROOT / f"benchmarks/{name}.json").read_text()) for name in ("knockout", "full_size")), shapes)
    expected = planned_jobs.planned(StudyCosts(json.loads(told[1]), shapes, facts, rates, 0.5))
    seen = {name: count for name, count in workflow_runs.planned(run.stdout).items() if name in LOADING}
    assert {found.name: found.jobs for found in planned_jobs.by_rule(expected)} == seen and seen.keys() == LOADING
    profile = yaml.safe_load((ROOT / "profiles/by_shard/config.yaml").read_text())
    groups = Counter(re.findall(r"Group job (\w+) ", run.stdout))
    submitted = planned_jobs.submitted(expected, profile["groups"], profile["group-components"])
    assert {found.name: found.jobs for found in submitted} == groups == {"shard": 60, "pruning": 20, "sufficiency": 8}
    assert {rule for rule in profile["groups"]} == EVERY


def unavailable() -> str:
    with pytest.raises(cluster.Unavailable) as reason:
        cluster.install()
    return str(reason.value)


def test_every_reason_for_having_no_slurm_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "ETC", tmp_path)
    monkeypatch.setattr(cluster, "missing", lambda: ["slurmd"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unavailable() == "its daemons are started by root, and this is another user"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert unavailable() == "there is no slurmd, and no apt-get to install it"
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho first >&2\necho 'E: Unable to locate package slurmd' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    assert unavailable() == "apt-get update failed: E: Unable to locate package slurmd"
    (tmp_path / "slurm.conf").write_text("ClusterName=real\n")
    assert unavailable() == f"{tmp_path}/slurm.conf is there: this machine is part of a cluster, or was set up as one"
    assert (tmp_path / "slurm.conf").read_text() == "ClusterName=real\n"


def test_where_there_is_no_slurm_its_tests_are_skipped_and_say_so():
    code = "import os, sys, pytest; os.geteuid = lambda: 1000; sys.exit(pytest.main(['tests/slurm', '-rs']))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (
        run.returncode == 0
        and "no Slurm on this machine: its daemons are started by root, and this is another user" in run.stdout
    )
    assert "7 skipped" in run.stdout and "passed" not in run.stdout


@pytest.mark.parametrize(("time", "code"), [("2-00:00:00", 0), ("1:00:00", 1)])
def test_check_holds_the_largest_jobs_to_the_partitions_that_sinfo_lists(copy, tmp_path, time, code):
    (tmp_path / "sinfo").write_text(f"#!/bin/sh\nprintf 'cpu|{time}|64000|(null)\\ngpu|{time}|256000|gpu:h100:8\\n'\n")
    (tmp_path / "squeue").write_text("#!/bin/sh\n")  # without it, Slurm's executor cannot be loaded
    for name in ("sinfo", "squeue"):
        (tmp_path / name).chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "check", "--workflow-profile", "profiles/slurm"]
    # Snakemake waits this long at its end, although nothing was submitted
    command += ["--slurm-init-seconds-before-status-checks", "1"]
    environment = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin", **workflow_runs.preloaded()}
    run = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert run.returncode == code, run.stdout[-3000:]
    assert ("jobs without a GPU: 16 GB of memory, 240 min: partition cpu" in run.stdout) == (code == 0)
    assert ("no partition fits (cpu ends jobs after 60 min" in run.stdout) == (code == 1)
    assert "Trying to restart job" not in run.stdout, "what is wrong stays wrong"
