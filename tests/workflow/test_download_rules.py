"""The rules pin and download. All other jobs run offline."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from pinned import OTHER

STUDY = """
study: hub
studies: {hub: {main_model: small, video: av_speakerbench, items: av_speakerbench, models: [small], datasets: [av_speakerbench]}}
models: {small: {family: qwen_omni, repo: owner/small, licence: mit, sampling: omni-56px, window: 3}}
datasets: {av_speakerbench: {repo: owner/clips, files: [test.csv]}}
"""


def snakemake(where, *arguments):
    """Run Snakemake with the study above, in no activated environment."""
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", "config.yaml", "hub.yaml"]
    done = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    return done.returncode, done.stdout


@pytest.fixture
def copy(tmp_path):
    """What the rules need, in a folder of its own."""
    rules = ("Snakefile", "config.yaml", "rules", "schemas", "workflow_scripts", "figures", "envs", "profiles")
    for name in (*rules, "resources/published"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    (tmp_path / "hub.yaml").write_text(STUDY)
    return tmp_path


def test_the_rules_pin_and_download_and_every_other_job_is_offline(hub, copy, model):
    import torch

    from avflow.models.qwen_omni import QwenOmni

    hub.add("model", "owner/small", ROOT / "resources/tiny-omni", card={"license": "apache-2.0"})
    hub.add("dataset", "owner/clips", {"test.csv": b"question_id\n", "more.zip": OTHER})
    code, said = snakemake(copy, "downloads")
    assert code != 0 and "resources/pins/small.json is missing; run: snakemake pin --config study=hub" in said
    code, said = snakemake(copy, "pin")
    assert code == 0 and "config.yaml expects the licence 'mit'" in said and not hub.contents(), said

    with open(copy / "rules/figures.smk", "a") as file:
        file.write('\n\nrule offline:\n    shell:\n        "echo HF_HUB_OFFLINE is $HF_HUB_OFFLINE"\n')
    code, said = snakemake(copy, "downloads", "offline")
    assert code == 0 and "HF_HUB_OFFLINE is 1" in said, said
    assert "licence: apache-2.0; read it at https://huggingface.co/owner/small" in said
    assert sorted(p.name for p in (copy / "downloads/datasets/av_speakerbench").iterdir()) == [
        "manifest.json",
        "test.csv",
        "verified.jsonl",
    ]

    module = copy / "workflow_scripts/avflow/hub/fetch.py"
    module.write_text(module.read_text().replace("BLOCK = 1 << 20", "BLOCK = 1 << 21"))
    code, said = snakemake(copy, "downloads/models/small/manifest.json")
    assert code == 0 and "Nothing to be done" in said, said

    study = (copy / "hub.yaml").read_text()
    (copy / "hub.yaml").write_text(study.replace("repo: owner/small", "repo: owner/other"))
    code, said = snakemake(copy, "downloads")
    assert code != 0 and "small.json pins owner/small, but config.yaml names owner/other; run: snakemake pin" in said, said
    (copy / "hub.yaml").write_text(study)

    hub.log.clear()
    loaded = QwenOmni(copy / "downloads/models/small", "You are a helpful assistant.")
    assert torch.equal(loaded.head.weight, model.head.weight) and not hub.log


def test_the_study_of_the_paper_downloads_four_models_and_three_datasets():
    command = [sys.executable, "-m", "snakemake", "downloads", "--dry-run", "--cores", "1", "--config", "study=paper"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"download_dataset +3\ndownload_weights +4\ndownloads +1\n", done.stdout)
