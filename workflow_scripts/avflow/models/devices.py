"""Claim a GPU for this process alone. On a machine with several GPUs, every job gets its own.

Snakemake counts GPUs but does not assign them. Under `--resources gpu=4` four jobs start, and without claims all four would use
the first GPU. A claim is a lock on a file that stands for a GPU. The kernel releases the lock when the process ends, even after
a crash, so there is nothing to clean up. This module uses only the standard library, because a claim must come before torch looks
for devices.

    CUDA_VISIBLE_DEVICES=2,3 snakemake --cores all --resources gpu=2     # leaves the first two GPUs to others
"""

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
NONE = ("", "-1", "NoDevFiles")  # values that mean no GPU; Slurm writes the last one
_held: list[tuple[str, int | None]] = []  # this process's device and the descriptor of its lock file, open until the process ends


def installed() -> list[str]:
    """The numbers of this machine's GPUs, in PCI bus order. If the driver does not answer, there are none."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:  # some containers lack the tool
        return [str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
    return re.findall(r"^GPU (\d+):", listed.stdout, re.MULTILINE) if listed.returncode == 0 else []


def candidates() -> list[str]:
    """The devices that this process may use: those that Slurm or the user made visible. If neither did, all."""
    named = os.environ.get(VISIBLE)
    if named is None:
        return installed()
    return [] if named in NONE else [device.strip() for device in named.split(",")]


def assigned_by_slurm() -> bool:
    """Whether Slurm assigned the visible devices, so that no other job uses them."""
    return VISIBLE in os.environ and "SLURM_JOB_ID" in os.environ


def lock_file(device: str) -> Path:
    """The file that stands for a device. Slurm may number each job's devices from 0, so the name holds the Slurm job's id."""
    job = f"job{os.environ['SLURM_JOB_ID']}-" if assigned_by_slurm() else ""
    return Path(tempfile.gettempdir()) / f"avflow-gpu-{job}{device.replace('/', '_')}.lock"


def lock(path: Path) -> int | None:
    """Lock a file for this process. Returns its descriptor, or None if another process holds the lock.

    Raises InputError if the file cannot be created or opened.
    """
    try:
        try:
            file = os.open(path, os.O_RDONLY)  # another user may own it; reading is enough for a lock, and allowed in /tmp
        except FileNotFoundError:
            file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
            os.fchmod(file, 0o644)  # whatever the umask is, so that other users can lock it, too
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it locks a GPU for one job: remove it, or set TMPDIR to a folder") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def claim(every: float = 1.0) -> str | None:
    """Claim a GPU and make it the only one that CUDA shows to this process. Returns its id, or None on a machine without a GPU.

    Call it before anything asks CUDA for devices. If other processes hold all GPUs, it says so once, and tries again every
    `every` seconds. A second call returns the same GPU. Raises InputError if a lock file cannot be created or opened.
    """
    if _held:
        return _held[0][0]
    devices = candidates()
    if not devices:
        return None
    if len(devices) == 1 and assigned_by_slurm():
        _held.append((devices[0], None))
        say(f"GPU {devices[0]}, given by Slurm")
        return devices[0]
    waiting = False
    while not _held:
        for device in devices:
            file = lock(lock_file(device))
            if file is not None:
                _held.append((device, file))
                break
        else:
            if not waiting:
                say(f"waiting for a GPU: other jobs hold {', '.join(devices)} (see {lock_file('*')})")
            waiting = True
            time.sleep(every)
    if VISIBLE not in os.environ:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order in which nvidia-smi numbers them
    device = os.environ[VISIBLE] = _held[0][0]
    say(f"GPU {device}, one of {', '.join(devices)}")
    return device
