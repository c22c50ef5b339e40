"""Files that appear only when they are complete. One process at a time writes a file, and errors name the file.

When Snakemake is killed, its jobs go on, and the next Snakemake starts them again. So every writer holds a lock, and a second
writer waits. The system releases the lock however the process ends.
"""

import contextlib
import fcntl
import os
import sys
from pathlib import Path


@contextlib.contextmanager
def naming(path):
    """Add the file name to an OSError that has none. On a full disk write() and flush() fail without a name."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def alone(path):
    """Open a file for reading and writing; create it if needed. Waits while another process has it open through this function."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: another process is writing it; waiting for that process to end", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            return file  # a file system without locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()  # the file was renamed or replaced meanwhile


@contextlib.contextmanager
def whole(path):
    """Yield an empty file to write to, locked by `alone`. At the end it is renamed to `path`; after an error it is removed."""
    part = Path(f"{path}.part")
    with naming(path), alone(part) as held:
        held.truncate(0)
        try:
            yield part
            held.flush()
            os.fsync(held.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
