"""A GPU for this process alone: of several in one machine, every job claims its own.

Snakemake counts GPUs and gives none out: under `--resources gpu=4` four jobs start, and all would meet on the first device. A
claim is a lock on a file that stands for a device. The kernel lets go of it when the process ends, however that happens, so
nothing is ever left to clean up. Standard library only: a claim comes before torch looks for devices.

    CUDA_VISIBLE_DEVICES=2,3 snakemake --cores all --resources gpu=2     # leave the first two to others
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
NONE = ("", "-1", "NoDevFiles")  # the last is Slurm's, for a job without GPUs
_held: list[tuple[str, int | None]] = []  # the device of this process and its lock's file descriptor, open until it ends


def installed() -> list[str]:
    """The numbers of this machine's GPUs, in the order of the PCI bus; those of a driver that does not answer are none."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:  # containers may leave the tool out
        return [str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
    return re.findall(r"^GPU (\d+):", listed.stdout, re.MULTILINE) if listed.returncode == 0 else []


def candidates() -> list[str]:
    """The devices that this process may use: those that Slurm or the user made visible, else all."""
    named = os.environ.get(VISIBLE)
    if named is None:
        return installed()
    return [] if named in NONE else [device.strip() for device in named.split(",")]


def assigned_by_slurm() -> bool:
    """Whether the visible devices are those of a Slurm job, and so no other job's."""
    return VISIBLE in os.environ and "SLURM_JOB_ID" in os.environ


def lock_file(device: str) -> Path:
    """The file that stands for a device. Slurm may number every job's devices from 0, so its jobs have files of their own."""
    job = f"job{os.environ['SLURM_JOB_ID']}-" if assigned_by_slurm() else ""
    return Path(tempfile.gettempdir()) / f"avflow-gpu-{job}{device.replace('/', '_')}.lock"


def lock(path: Path) -> int | None:
    """The descriptor of a file now locked by this process, None where another holds it.

    Raises InputError where the file cannot be made or opened.
    """
    try:
        try:
            file = os.open(path, os.O_RDONLY)  # may be another user's: enough for a lock, and allowed in /tmp
        except FileNotFoundError:
            file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
            os.fchmod(file, 0o644)  # whatever the umask, so that other users see the lock
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it keeps GPU jobs apart: remove it, or set TMPDIR to a folder") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def claim(every: float = 1.0) -> str | None:
    """The id of a GPU that is now this process's own and the only one that CUDA will show it; None where there is no GPU.

    While other processes hold all of them it waits, says so once, and looks again `every` seconds. Called again it returns the
    same. To be called before anything asks CUDA for devices. Raises InputError where locks cannot be made.
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
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order that nvidia-smi numbers them in
    device = os.environ[VISIBLE] = _held[0][0]
    say(f"GPU {device} of {', '.join(devices)}")
    return device
