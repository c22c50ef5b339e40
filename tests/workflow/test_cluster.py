"""Resources that jobs ask a cluster for, checked without one; and the reasons why tests on Slurm are skipped."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests/slurm"))
import cluster  # noqa: E402

RULES = [text for path in (ROOT / "rules").glob("*.smk") for text in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]]
LOADING = {text.split(":")[0] for text in RULES if "params:\n        model=ask(jobs.model" in text}


def snakemake(*configs):
    command = [sys.executable, "-m", "snakemake", "all", "app_sensitivity", "--dry-run", "--forceall", "--printshellcmds"]
    command += ["--workflow-profile", "profiles/slurm", "--configfile", "config.yaml", *configs]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


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
    jobs = planned("tests/gpus.yaml")
    here = LOADING - {"extract_features_again"}  # only where features are not kept
    assert {rule for rule, (asked, _) in jobs.items() if "gpu" in asked} == here == here & jobs.keys() and len(here) == 9
    for rule in here:
        asked, command = jobs[rule]
        assert asked["gpu"] == "1" and int(asked["mem_mb"]) >= 8000 and int(asked["runtime"]) >= 60
        assert "--device" not in command
    assert all(asked["mem_mb"] and asked["runtime"] for asked, _ in jobs.values() if asked)


def test_jobs_of_a_model_without_gpus_ask_for_none_and_leave_those_of_the_machine_alone():
    jobs = planned()
    assert not [rule for rule, (asked, _) in jobs.items() if asked.get("gpu", "0") != "0"]
    assert all("--device cpu" in jobs[rule][1] for rule in LOADING & jobs.keys())


def test_more_gpus_for_a_job_than_it_can_use_are_refused(tmp_path):
    (tmp_path / "two.yaml").write_text("models: {tiny-omni: {gpus: 2}}")
    run = snakemake(str(tmp_path / "two.yaml"))
    assert run.returncode != 0 and "2 is not one of [0, 1]" in run.stdout and "gpus" in run.stdout


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
    assert "6 skipped" in run.stdout and "passed" not in run.stdout
