"""A real Slurm of one node, without systemd, cgroups or accounting: Debian's packages, two declared GPUs that are none.

    python tests/slurm/cluster.py start     # as root: installs what is missing, 10 s; then sbatch, squeue, scancel work
    python tests/slurm/cluster.py stop      # ends it and takes its configuration away; the packages stay

State lies in one fixed folder, so that a start finds and ends what a killed test left. The configuration is also linked into
/etc/slurm, where it is never put over another: the executor's job steps drop SLURM_CONF from the environment of their `srun`.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/tmp/avflow-test-slurm")
LOCK = Path("/tmp/avflow-test-slurm.lock")  # held while tests use it: there is one place for one Slurm's configuration
ETC = Path("/etc/slurm")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins")
DAEMONS = ("munged", "slurmctld", "slurmd")
GPUS = ("/dev/null", "/dev/zero")  # Slurm wants a device file for each; nothing opens these

# Memory is polled every second and its limit enforced. More CPUs are declared than there may be: jobs of tests wait for nothing.
SLURM = """
ClusterName=avflow
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/d
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
MinJobAge=600
KillWait=3
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 CoresPerSocket=64 RealMemory=256000 Gres=gpu:fake:{gpus}
PartitionName=cpu Nodes={host} MaxTime=UNLIMITED State=UP
PartitionName=gpu Nodes={host} MaxTime=UNLIMITED State=UP
"""


class Unavailable(Exception):
    """Slurm cannot be had on this machine; the message says why."""


def missing() -> list[str]:
    """Which of the programs are not there."""
    return [name for name in (*DAEMONS, "sbatch") if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]


def install() -> None:
    """Install what is missing. Raises Unavailable where that is not possible."""
    gone = missing()
    if os.geteuid() != 0:
        raise Unavailable("its daemons are started by root, and this is another user")
    if ETC.joinpath("slurm.conf").exists() and not linked():
        raise Unavailable(f"{ETC}/slurm.conf is there: this machine is part of a cluster, or was set up as one")
    if not gone:
        return
    if not shutil.which("apt-get"):
        raise Unavailable(f"there is no {', '.join(gone)}, and no apt-get to install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *command], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise Unavailable(f"apt-get {command[0]} failed: {last}")


def linked() -> bool:
    return ETC.joinpath("slurm.conf").is_symlink() and STATE in Path(os.readlink(ETC / "slurm.conf")).parents


def running(daemon: str) -> int | None:
    """The process of a daemon of ours, None when it has ended (one that nobody waits for has ended, too)."""
    try:
        process = int((STATE / f"{daemon}.pid").read_text())
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return process if f"Name:\t{daemon}\n" in status and "State:\tZ" not in status else None


def wait(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def configure() -> None:
    """Write the configuration, and link it to where job steps look for it."""
    for folder in (STATE, STATE / "ctld", STATE / "d", ETC):
        folder.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().split(".")[0]
    files = {
        "slurm.conf": SLURM.format(host=host, state=STATE, gpus=len(GPUS)).lstrip(),
        "gres.conf": "".join(f"NodeName={host} Name=gpu Type=fake File={device}\n" for device in GPUS),
        "cgroup.conf": "CgroupPlugin=cgroup/v1\n",  # named, so that nothing is looked for where no cgroups are mounted
    }
    for name, text in files.items():
        (STATE / name).write_text(text)
        (ETC / name).unlink(missing_ok=True)
        (ETC / name).symlink_to(STATE / name)
    (STATE / "munge.key").write_bytes(os.urandom(64))
    (STATE / "munge.key").chmod(0o600)


@contextlib.contextmanager
def alone():
    """Wait until no other test has a Slurm on this machine, and keep others waiting."""
    with open(LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start() -> None:
    """Configure and start what is installed; returns when the node takes jobs. Raises RuntimeError with the ends of its logs."""
    stop()
    configure()
    munge = {name: f"{STATE}/{file}" for name, file in (("key-file", "munge.key"), ("socket", "munge.socket"))}
    munge |= {name: f"{STATE}/munged.{name.split('-')[0]}" for name in ("pid-file", "log-file", "seed-file")}
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    commands = [
        ["munged", "--force", *(f"--{name}={path}" for name, path in munge.items())],
        ["slurmctld", "-c"],
        ["slurmd", "-c"],
    ]
    for command in commands:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sinfo = lambda: subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout.split()
    if not wait(lambda: sinfo()[:1] == ["idle"], 30):
        ends = [f"{log.name}: {line}" for log in STATE.glob("*.log") for line in log.read_text().splitlines()[-5:]]
        stop()
        raise RuntimeError("Slurm did not come up\n" + "\n".join(ends))


def stop() -> None:
    """End the daemons of ours, jobs first, and take away the configuration."""
    if running("slurmctld"):
        subprocess.run(["scancel", "--user", "root"], capture_output=True, timeout=30)
        wait(lambda: not subprocess.run(["squeue", "-h"], capture_output=True, text=True).stdout.strip(), 15)
    for daemon in reversed(DAEMONS):
        for how in (signal.SIGTERM, signal.SIGKILL):
            if process := running(daemon):
                os.kill(process, how)
                wait(lambda daemon=daemon: not running(daemon), 10)
    for file in ("slurm.conf", "gres.conf", "cgroup.conf"):
        if (ETC / file).is_symlink() and os.readlink(ETC / file) == str(STATE / file):
            (ETC / file).unlink()
    shutil.rmtree(STATE, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] not in (["start"], ["stop"]):
        sys.exit(f"usage: {sys.argv[0]} start|stop")
    try:
        install()
    except Unavailable as reason:
        sys.exit(f"no Slurm on this machine: {reason}")
    {"start": start, "stop": stop}[sys.argv[1]]()
