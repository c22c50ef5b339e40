"""Snakemake gives every GPU job a device of its own."""

import json
import os
import re
import subprocess
import sys

import yaml
from workflow_runs import preloaded


def test_snakemake_gives_each_gpu_job_its_own_device(copy, tmp_path):
    """Two jobs of one rule at once, each kept from ending until both hold a device.

    Both shards are decoded before, for a job that waits for the other one would wait for its frames, too.
    """
    (copy / "two.yaml").write_text(yaml.safe_dump({"datasets": {"mini-video": {"shards": 2}}}))
    faults = [{"in": "extract_features.py", "until": [f"{tmp_path}/avflow-gpu-*.lock", 2]}]
    made = [f"results/miniature/features/tiny-salmonn/mini-video/{shard}.safetensors" for shard in range(2)]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "5,7", "FAULTS": json.dumps(faults)}
    environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copy / "tests/faults")}
    command = [sys.executable, "-m", "snakemake", *made, "--cores", "all", "--resources", "gpu=2"]
    command += ["--configfile", "config.yaml", "tests/gpus.yaml", "two.yaml"]
    before = environment | preloaded()
    subprocess.run([*command, "--until", "preprocess_media"], cwd=copy, capture_output=True, env=before, check=True)
    run = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert run.returncode == 0, run.stdout[-5000:]
    logs = [copy / f"logs/miniature/extract_features/tiny-salmonn/mini-video/{shard}.log" for shard in range(2)]
    used = [re.search(r"^GPU (\d), one of 5, 7$", log.read_text(), re.MULTILINE)[1] for log in logs]
    assert sorted(used) == ["5", "7"]
