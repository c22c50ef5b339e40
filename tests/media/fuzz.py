"""Damage media files of every kind and see that the reader ends in arrays or a `MediaError`, and in nothing else.

    .venv/bin/python tests/media/fuzz.py --files 600 --seed 1

Takes about 10 s. Prints how many files of each kind were read and how many were dropped for which reason, then every fault.
The exit status is 1 if there is a fault. `--keep FOLDER` writes the files and leaves them there.

A file is probed. If it is accepted it is read, and then nothing may fail. Each file has 20 s and 2 GB; a child process reads the
files, so a crash is seen, too. The same seed makes the same damage.
"""

import argparse
import collections
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow_scripts")]

import numpy as np
from damaged_files import Damaged, damaged

SECONDS, MEMORY = 20, 2 * 2**30  # a file may take this long, and this many bytes
LONG = 30  # seconds; no file lasted longer than 3 s before it was damaged


def judge(path: str, medium: str) -> dict:
    """Probe a file and, if it is accepted, read it. Returns {"read": True, "seconds": ...}, {"reason": ...} or {"fault": ...}."""
    from avflow import media
    from avflow.media.containers import REASONS

    try:
        facts = media.probe(path, medium)
    except media.MediaError as error:
        if error.reason not in REASONS or "\n" in str(error) or path not in str(error):
            return {"fault": f"a message without the file, of several lines, or of no known reason: {error.reason}: {error}"}
        return {"reason": error.reason}
    try:
        faults = [*_faults(media, path, medium, facts)]
    except media.MediaError as error:
        return {"fault": f"accepted, then refused ({error.reason}): {error}"}
    return {"fault": "; ".join(faults)} if faults else {"read": True, "seconds": facts.seconds}


def _faults(media, path, medium, facts):
    """Yield what is wrong with what an accepted file gives."""
    if not all(math.isfinite(v) and v >= 0 for v in vars(facts).values() if isinstance(v, int | float)):
        yield f"facts are not finite: {facts}"
    if medium == "image":
        picture = media.read_image(path)
        if picture.dtype != np.uint8 or picture.shape != (1, 3, facts.height, facts.width):
            yield f"a picture {picture.dtype} {picture.shape}, probed as {facts}"
    if medium == "video":
        for frames, rate in (media.read_frames(path, 2, 64)[:2], media.read_spread_frames(path, 0.5, 4, 64)[:2]):
            if frames.dtype != np.uint8 or frames.shape[1:] != (3, facts.height, facts.width) or not len(frames):
                yield f"frames {frames.dtype} {frames.shape}, probed as {facts}"
            if not (math.isfinite(rate) and rate > 0) or abs(len(frames) / rate - facts.seconds) > 1 + 1 / rate:
                yield f"{len(frames)} frames at {rate} per second, probed as {facts}"
    if medium == "audio" or facts.audio_channels:
        samples = media.read_audio(path)
        if samples.dtype != np.float32 or samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
            yield f"sound {samples.dtype} {samples.shape} with {np.sum(~np.isfinite(samples))} values that are not finite"
        if medium == "audio" and abs(len(samples) / 16000 - facts.seconds) > 0.05 + 0.01 * facts.seconds:
            yield f"{len(samples) / 16000:.2f} s of sound, probed as {facts}"


def peak() -> int:
    """The most memory that this process ever had, in bytes; getrusage would count what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def serve(limit: int, memory: int) -> None:
    """Judge the files that stdin names, one a line as JSON [path, medium]. A file that takes too long ends the process."""
    from avflow import media

    media.read_image, media.read_audio, media.read_frames  # noqa: B018 loaded before memory is measured
    before = peak()
    room = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 2 * memory
    resource.setrlimit(resource.RLIMIT_AS, (room, room))  # the machine shall live, whatever a file asks for
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        signal.alarm(limit)
        try:
            verdict = judge(*json.loads(line))
        except BaseException as error:  # noqa: BLE001 whatever else comes is a fault of the reader
            at = traceback.extract_tb(error.__traceback__)[-1]
            verdict = {"fault": f"{type(error).__name__}: {str(error)[:200]} ({Path(at.filename).name}, line {at.lineno})"}
        signal.alarm(0)
        if peak() - before > memory:
            verdict = {"fault": f"{(peak() - before) / 2**20:.0f} MB of memory; {verdict}"}
        print(json.dumps({**verdict, "memory": peak() - before}), flush=True)


class Judges:
    """Child processes, one after the other, that judge files. A new one takes over after a death or a large file.

    setup: code that a child runs first. limit: seconds a file may take. memory: bytes it may take.
    """

    def __init__(self, setup: str = "", limit: int = SECONDS, memory: int = MEMORY):
        self.code, self.memory, self.child = f"import fuzz\n{setup}\nfuzz.serve({limit}, {memory})", memory, None

    def _start(self):
        here = Path(__file__).resolve().parent
        path = os.pathsep.join(map(str, (here, here.parent, here.parents[1] / "workflow_scripts")))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.child = subprocess.Popen([sys.executable, "-c", self.code], env=environment, **pipes)

    def judge(self, file: Damaged) -> dict:
        """The verdict on a file: {"read": True}, {"reason": ...} or {"fault": ...}."""
        if self.child is None:
            self._start()
        self.child.stdin.write(json.dumps([str(file.path), file.medium]) + "\n")
        self.child.stdin.flush()
        said = self.child.stdout.readline()
        if not said:
            ended = -self.child.wait()
            self.child = None
            name = signal.Signals(ended).name if ended > 0 else f"status {-ended}"
            return {"fault": "took too long" if ended == signal.SIGALRM else f"the process died ({name})"}
        verdict = json.loads(said)
        if verdict.pop("memory") > self.memory // 8:  # the peak never falls
            self.close()
        return verdict

    def close(self) -> None:
        if self.child:
            self.child.communicate()
            self.child = None


def judged(files: list[Damaged]) -> list[tuple[Damaged, dict]]:
    """Every file with its verdict."""
    judges = Judges()
    try:
        return [(file, judges.judge(file)) for file in files]
    finally:
        judges.close()


def table(results) -> str:
    """Counts by kind of file, as a Markdown table."""
    counts = collections.defaultdict(collections.Counter)
    for file, verdict in results:
        for kind in (file.kind, "all"):
            counts[kind]["files"] += 1
            counts[kind]["read" if "read" in verdict else verdict.get("reason", "faults")] += 1
            counts[kind][f"read as over {LONG} s"] += verdict.get("seconds", 0) > LONG
    first = ["files", "read", f"read as over {LONG} s"]
    columns = [*first, *(c for c in sorted(counts["all"]) if c not in (*first, "faults")), "faults"]
    rows = [["kind", *columns], ["---", *["--:"] * len(columns)]]
    for kind in sorted(counts, key=lambda kind: (kind == "all", kind)):
        rows.append([kind, *(str(counts[kind][column] or "") for column in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = judged(damaged(folder, options.files, options.seed))
    print(table(results))
    faults = [(file, verdict["fault"]) for file, verdict in results if "fault" in verdict]
    for file, fault in faults:
        print(f"* {file.path.name} ({file.kind} as {file.medium}, {file.damage}): {fault}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
