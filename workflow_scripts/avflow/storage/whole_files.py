"""Files that appear when they are whole, that one process at a time writes, and whose trouble is named.

When Snakemake itself is killed its jobs go on, and the next Snakemake starts them again. So whoever writes holds a lock, which
the system takes back from a process that ends in whatever way, and whoever comes second waits.
"""

import contextlib
import fcntl
import os
import sys
from pathlib import Path


@contextlib.contextmanager
def naming(path):
    """Say of an OSError which file it befell: those of a full disk come from write and flush, which do not know it."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def alone(path):
    """Open a file to read and write it, made where it is not there, once no other process has it open by this function."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: another process still writes it; waiting until that one ends", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            return file  # a file system without locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()  # it got another name meanwhile


@contextlib.contextmanager
def whole(path):
    """Give a path to write to, empty and held by `alone`; at the end it is named `path`, and after an error it is removed."""
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
