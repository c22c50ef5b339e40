"""What every script shares: one-line errors instead of tracebacks, and progress lines that estimate the time left."""

import errno
import gc
import re
import signal
import sys
import threading
import time
from pathlib import Path

from .errors import InputError

REFUSED = re.compile(r"(\w+\.py: )?error: ")  # what `run`, or argparse, prints about bad input begins so


def run(main) -> None:
    """Call `main()`. On bad input, or a full or inaccessible disk, print one line to stderr and exit with code 2.

    On SIGTERM exit with code 143. What is loaded so far stays to the end, so the garbage collector is told to leave it alone.
    """
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if not (said := disk_trouble(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        sys.exit(2)


def refused(log: Path | str, since: float = 0) -> bool:
    """Whether a script's log ends with the line that `run`, or argparse, prints about bad input.

    since: seconds since 1970; a log that was last written before says nothing.
    """
    path = Path(log)
    if not path.is_file() or path.stat().st_mtime < since:
        return False
    said = path.read_text(encoding="utf-8", errors="replace").strip()
    return bool(REFUSED.match(said.rpartition("\n")[2]))


def made_by(rule: str):
    """An argparse type: the path of a file that `rule` makes. Raises InputError naming the rule if the file does not exist."""

    def path(text: str) -> Path:
        if not Path(text).is_file():
            raise InputError(f"{text} does not exist; {rule} makes it: snakemake {text} --cores all")
        return Path(text)

    return path


def disk_trouble(error: OSError) -> str | None:
    """The message for a full disk, a read-only disk or missing permissions, with the remedy. None for other errors."""
    where = error.filename or "a result"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}: the disk is full; free some space and run again: finished questions are kept"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        reason = "is on a read-only disk" if error.errno == errno.EROFS else "cannot be read or written"
        return f"{where} {reason}; change its permissions, or move results elsewhere (symbolic link), and run again"
    return None


class Progress:
    """Prints "done of total, time left" to stderr, at most once in `every` seconds and at the end. Thread-safe."""

    def __init__(self, what: str, total: int, done: int = 0, every: float = 10.0):
        self.what, self.total, self.first, self.done, self.every = what, total, done, done, every
        self.began = self.said = time.monotonic()
        self.lock = threading.Lock()

    def step(self, count: int = 1) -> None:
        with self.lock:
            self.done += count
            now = time.monotonic()
            if now - self.said >= self.every or self.done == self.total:
                self.said = now
                left = (now - self.began) / (self.done - self.first) * (self.total - self.done)
                print(f"{self.what}: {self.done} of {self.total}, {left:.0f} s left", file=sys.stderr, flush=True)
