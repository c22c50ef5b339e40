"""Make a folder equal a pin. Every file is checked by its hash, and manifest.json is written last.

`verified.jsonl` beside the files records each file whose hash was correct. So a killed or repeated download neither fetches nor
hashes 100 GB twice. A file is accepted if it is on record and its size and date have not changed since. If they have, its hash
decides; the size alone never does.
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ..errors import InputError
from . import fetch
from .pins import Pin, needed, write_json
from .repository import Backoff, HubFile, Source


class ByteProgress:
    """Prints "done of total, speed, time left" to stderr, at most once in `every` seconds and at the end. Thread-safe."""

    def __init__(self, what: str, total: int, every: float = 10.0):
        self.what, self.total, self.every, self.done, self.found = what, total, every, 0, 0
        self.began = self.said = time.monotonic()
        self.lock = threading.Lock()

    def step(self, count: int, fetched: bool = True) -> None:
        """Count bytes. fetched: False for bytes that were already on disk; they do not count for the speed."""
        with self.lock:
            self.done += count
            self.found += 0 if fetched else count
            now = time.monotonic()
            if count > 0 and (now - self.said >= self.every or self.done == self.total):
                self.said = now
                speed = max(self.done - self.found, 1) / max(now - self.began, 1e-9)
                print(
                    f"{self.what}: {size(self.done)} of {size(self.total)}, {size(speed)}/s,"
                    f" {(self.total - self.done) / speed:.0f} s left",
                    file=sys.stderr,
                    flush=True,
                )


def size(count: float) -> str:
    """A number of bytes as text with a readable unit."""
    unit, name = next((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes")) if count >= u or u == 1)
    return f"{count / unit:.1f} {name}" if unit > 1 else f"{count:.0f} bytes"


class Record:
    """The files of a folder whose hashes were correct. One line per file; the last line of a path counts."""

    def __init__(self, folder: Path):
        self.folder, self.path, self.known = folder, folder / "verified.jsonl", {}
        self.lock = threading.Lock()
        with contextlib.suppress(OSError):
            for line in self.path.read_text(encoding="utf-8").split("\n"):
                with contextlib.suppress(ValueError, KeyError):  # a line that a kill cut off
                    entry = json.loads(line)
                    self.known[entry["path"]] = (entry["hash"], entry["size"], entry["mtime_ns"])

    def holds(self, file: HubFile) -> bool:
        """Whether the hash of this file was correct, and its size and date have not changed since."""
        with contextlib.suppress(OSError):
            facts = (self.folder / file.path).stat()
            return self.known.get(file.path) == (fetch.pinned_hash(file), file.size, facts.st_mtime_ns) and (
                facts.st_size == file.size
            )
        return False

    def add(self, file: HubFile) -> None:
        mtime = (self.folder / file.path).stat().st_mtime_ns
        entry = dict(path=file.path, hash=fetch.pinned_hash(file), size=file.size, mtime_ns=mtime)
        with self.lock, open(self.path, "a", encoding="utf-8") as out:
            self.known[file.path] = (entry["hash"], entry["size"], entry["mtime_ns"])
            out.write(json.dumps(entry) + "\n")


@contextlib.contextmanager
def only_one(folder: Path):
    """Lock a folder for this process. Raises InputError while another process downloads into it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{folder}: another process is downloading into it; wait for it or stop it") from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)


def download(
    pin: Pin, name: str, folder, threads: int = 4, backoff: Backoff | None = None, free=lambda path: shutil.disk_usage(path).free
) -> None:
    """Make `folder` hold the pinned files and their manifest. Raises InputError with the remedy; finished files and parts stay.

    free: returns the number of free bytes on a folder's disk.
    """
    folder = Path(folder)
    source = Source(pin.repo, pin.repo_type, pin.revision)
    print(f"{name}: {pin.repo} at {pin.revision}, licence: {pin.licence or 'not stated'}; read it at {source.page}", flush=True)
    with only_one(folder):
        record, manifest = Record(folder), folder / "manifest.json"
        _remove_what_is_not_pinned(folder, pin, record)
        missing = [f for f in pin.files if not record.holds(f)]
        if missing or _read(manifest) != pin.as_json():
            manifest.unlink(missing_ok=True)
        missing = [f for f in missing if not _found_right(folder, f, record, name)]
        _check_space(folder, name, missing, len(pin.files), free)
        progress = ByteProgress(name, sum(f.size for f in missing))
        with fetch.client(source) as connections:
            for first in (True, False):  # small files first: they show within seconds if the repository is incomplete
                files = [f for f in missing if first == bool(f.blob or f.path.endswith(".json"))]
                _fetch_all(connections, source, files, folder, record, progress, threads, backoff)
                _check_index(folder, pin, name)
        if _read(manifest) != pin.as_json():
            write_json(manifest, pin.as_json())
    print(f"{name}: {len(pin.files)} files, {size(sum(f.size for f in pin.files))}, in {folder}", flush=True)


def _read(manifest: Path):
    with contextlib.suppress(OSError, ValueError):
        return json.loads(manifest.read_text(encoding="utf-8"))


def _remove_what_is_not_pinned(folder: Path, pin: Pin, record: Record) -> None:
    """Remove recorded files that are not pinned, and leftover parts of other files. Files that avflow did not put there stay."""
    pinned = {f.path for f in pin.files}
    parts = {fetch.part_of(f, folder / f.path) for f in pin.files}
    gone = [folder / path for path in record.known if path not in pinned and (folder / path).exists()]
    gone += [p for p in folder.rglob(".*.part") if p not in parts]
    if gone:
        (folder / "manifest.json").unlink(missing_ok=True)
    for path in gone:
        path.unlink()


def _found_right(folder: Path, file: HubFile, record: Record, name: str) -> bool:
    """Hash a file that is on disk but not on record. If the hash is correct, record the file; if not, delete it."""
    path = folder / file.path
    if not path.is_file():
        return False
    digest, progress = fetch.new_hash(file), ByteProgress(f"{name}: checking {file.path}", path.stat().st_size)
    if fetch.add_bytes(digest, path, progress.step) == file.size and digest.hexdigest() == fetch.pinned_hash(file):
        record.add(file)
        return True
    print(f"{path} is not the pinned file; fetching it again", file=sys.stderr, flush=True)
    path.unlink()
    return False


def _check_space(folder: Path, name: str, missing: list[HubFile], total: int, free) -> None:
    """Print how much will be fetched. Raises InputError if the disk is too small."""
    parts = [fetch.part_of(f, folder / f.path) for f in missing]
    need = sum(f.size for f in missing) - sum(min(p.stat().st_size, f.size) for p, f in zip(parts, missing) if p.exists())
    room = free(folder)
    print(f"{name}: {len(missing)} of {total} files to fetch, {size(need)}; {size(room)} are free in {folder}", flush=True)
    if need > room:
        raise InputError(
            f"{folder}: {size(room)} are free but {name} needs {size(need)} more; free some space, or put the folder on a larger"
            " disk (pathvars/downloads in config.yaml, or a symbolic link)"
        )


def _check_index(folder: Path, pin: Pin, name: str) -> None:
    """Raises InputError if an index of shards names a file that is not pinned. Runs before gigabytes are fetched."""
    paths = {f.path for f in pin.files}
    for index in sorted(path for path in paths if path.endswith(".safetensors.index.json")):
        try:
            shards = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{name}: {index} is not a shard index; name another revision in config.yaml and pin it") from None
        for shard in sorted(shards):
            needed(str(Path(index).with_name(shard)), paths, name, f"{index} names it")


def _fetch_all(connections, source, files, folder, record, progress, threads, backoff) -> None:
    """Fetch files in parallel. The first failure stops the others; their parts stay on disk."""
    stop = threading.Event()

    def one(file):
        fetch.fetch(connections, source, file, folder / file.path, backoff, progress.step, stop)
        record.add(file)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in as_completed([pool.submit(one, f) for f in files]):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
