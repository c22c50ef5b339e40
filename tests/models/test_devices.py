"""Each GPU job gets a device of its own. Device ids stand for GPUs, so no GPU is needed."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest
from conftest import SCRIPTS

CLAIM = "import sys; from avflow.models import devices; print(devices.claim(0.05), flush=True); sys.stdin.read()"

LISTED = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d1c3a52-0000-0000-0000-000000000000)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-5d1c3a52-0000-0000-0000-000000000001)
  MIG 1g.10gb     Device  0: (UUID: MIG-5d1c3a52-0000-0000-0000-000000000002)
"""


@pytest.fixture
def claims(tmp_path):
    """claims(code=.., **environment) -> a process that claims a device and holds it until it ends; all end with the test."""
    running = []

    def start(code=CLAIM, **environment):
        kept = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")}
        said = tmp_path / f"{len(running)}.err"
        with open(said, "w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env=kept | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(SCRIPTS)} | environment,
            )  # fmt: skip
        process.said = said.read_text
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def claimed(process) -> str:
    """The next line that a process prints; fails when it prints none in time."""
    assert select.select([process.stdout], [], [], 60)[0], f"no device in a minute: {process.said()}"
    return process.stdout.readline().strip()


def fake_nvidia_smi(folder, text, code=0) -> str:
    """A PATH on which nvidia-smi prints a text."""
    (folder / "bin").mkdir()
    (folder / "bin/nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
    (folder / "bin/nvidia-smi").chmod(0o755)
    return f"{folder}/bin:{os.environ['PATH']}"


def until(condition, seconds=20.0):
    """Wait for something to become true; fail when it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_as_many_jobs_as_devices_hold_different_ones(claims):
    jobs = [claims(CUDA_VISIBLE_DEVICES="0,1,2,3") for _ in range(4)]
    assert sorted(claimed(job) for job in jobs) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, "ends"])
def test_a_job_without_a_free_device_waits_and_takes_the_next_one(claims, how):
    first, second = (claims(CUDA_VISIBLE_DEVICES="4,7") for _ in range(2))
    held = {claimed(first): first, claimed(second): second}
    waiting = claims(CUDA_VISIBLE_DEVICES="4,7")
    until(lambda: "waiting for a GPU: other jobs hold 4, 7 (see " in waiting.said())
    assert waiting.poll() is None
    held["7"].stdin.close() if how == "ends" else held["7"].send_signal(how)
    assert claimed(waiting) == "7" and "GPU 7, one of 4, 7" in waiting.said()
    assert held["4"].poll() is None and waiting.said().count("waiting") == 1


def test_a_lock_is_seen_by_all_users_whatever_the_umask_of_the_first(claims, tmp_path):
    assert claimed(claims(f"import os; os.umask(0o077); {CLAIM}", CUDA_VISIBLE_DEVICES="0")) == "0"
    assert (tmp_path / "avflow-gpu-0.lock").stat().st_mode & 0o777 == 0o644


def test_only_the_claimed_device_is_visible_to_cuda_and_a_second_claim_is_the_same(claims):
    code = "import os; from avflow.models.devices import claim; print(claim(), claim(), os.environ['CUDA_VISIBLE_DEVICES'])"
    assert claimed(claims(code, CUDA_VISIBLE_DEVICES="GPU-5d1c3a52, GPU-77")) == "GPU-5d1c3a52 GPU-5d1c3a52 GPU-5d1c3a52"


def test_all_installed_gpus_are_taken_in_the_order_of_nvidia_smi(claims, tmp_path):
    path = fake_nvidia_smi(tmp_path, LISTED)
    code = "import os, sys; from avflow.models import devices; devices.claim()\n"
    code += "print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['CUDA_DEVICE_ORDER'], flush=True); sys.stdin.read()"
    jobs = [claims(code, PATH=path) for _ in range(2)]
    assert sorted(map(claimed, jobs)) == ["0 PCI_BUS_ID", "1 PCI_BUS_ID"]
    third = claims(code, PATH=path)
    until(lambda: "other jobs hold 0, 1 (" in third.said())


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_without_a_visible_gpu_nothing_is_claimed(claims, tmp_path, visible):
    job = claims(CUDA_VISIBLE_DEVICES=visible, PATH=fake_nvidia_smi(tmp_path, LISTED))
    assert claimed(job) == "None" and not list(tmp_path.glob("*.lock"))


def test_a_driver_that_does_not_answer_gives_no_gpu(claims, tmp_path):
    job = claims(PATH=fake_nvidia_smi(tmp_path, "NVIDIA-SMI has failed because it couldn't communicate\n", 9))
    assert claimed(job) == "None"


def test_a_slurm_job_with_one_gpu_takes_it_whatever_others_hold(claims):
    outside = claims(CUDA_VISIBLE_DEVICES="0")
    assert claimed(outside) == "0"
    # With cgroups Slurm calls the device of every job 0.
    jobs = [claims(CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID=job) for job in ("11", "12")]
    assert [claimed(job) for job in jobs] == ["0", "0"]
    assert all("GPU 0, given by Slurm" in job.said() for job in jobs)


def test_an_allocation_of_several_gpus_shares_them_out_within_and_not_with_another(claims):
    jobs = [claims(CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID=job) for job in ("11", "11", "12", "12")]
    found = [claimed(job) for job in jobs]
    assert sorted(found[:2]) == sorted(found[2:]) == ["0", "1"]


def test_a_lock_that_cannot_be_made_is_one_line_with_the_remedy(claims, tmp_path):
    gone = tmp_path / "a-file"
    gone.write_text("")
    code = "import tempfile; from avflow import cli; from avflow.models import devices; "
    code += f"tempfile.tempdir = {str(gone)!r}; cli.run(devices.claim)"
    job = claims(code, CUDA_VISIBLE_DEVICES="0")
    assert job.wait() == 2
    why = "Not a directory; it locks a GPU for one job: remove it, or set TMPDIR to a folder"
    assert job.said() == f"error: {gone}/avflow-gpu-0.lock: {why}\n"


@pytest.mark.slow
def test_a_device_is_claimed_before_torch_looks_for_one_and_not_for_the_cpu(claims, tmp_path):
    code = """
import os, sys, types
import torch
torch.cuda.is_available = lambda: print("asked for", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
import evaluate, extract_features
from avflow.models import families
from avflow.errors import InputError
for device in ("cpu", "auto"):
    arguments = types.SimpleNamespace(family="qwen_omni", checkpoint="nowhere", system_prompt="", dtype="float32", threads=1)
    arguments.device, arguments.positions = device, None
    try:
        families.load_model(arguments)
    except InputError:
        print("loaded on", device, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
"""
    job = claims(code, CUDA_VISIBLE_DEVICES="2,5")
    lines = job.communicate(timeout=120)[0].splitlines()
    assert lines == ["loaded on cpu 2,5", "asked for 2", "loaded on auto 2"]
    assert "torch sees no CUDA in GPU 2; the model runs on the CPU" in job.said()
