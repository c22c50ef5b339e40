"""What probing found in each file, kept beside the media table, so that only new and changed files are decoded again.

`<table>.probes` is JSON Lines. Its first line names the code and the versions that probed; if they differ, it starts over. Each
finding is appended when it is made, so a killed run loses nothing but its last line. A finding counts for a file of the same
`provenance.file_state`, or of the same bytes. Snakemake does not know the file, so it stays when the table is made again.
"""

import contextlib
import json
import threading
from importlib import metadata
from pathlib import Path

from ..media import MediaError, MediaFacts
from ..media import files as media_files
from ..storage import provenance
from ..storage.whole_files import alone, naming

DECODERS = ("av", "decord", "numpy", "pillow")


def _versions() -> dict[str, str]:
    found = {}
    for package in DECODERS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


class ProbeRecord:
    """The record of one media table. Use as a context manager. Thread-safe. One process at a time holds it."""

    def __init__(self, table_path):
        self.path, self.by_file, self.by_bytes, self.lock = Path(f"{table_path}.probes"), {}, {}, threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = alone(self.path)
        header = {"code": provenance.code_hash(media_files.__file__), "versions": _versions()}
        first, *lines = self.file.read().decode("utf-8", "replace").split("\n")
        if first == json.dumps(header, sort_keys=True):
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that a kill cut off
                    self._take(json.loads(line))
            self._write("")  # ends a line that was cut off
        else:
            self.file.truncate(0)
            self.file.seek(0)
            self._write(json.dumps(header, sort_keys=True))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.file.close()

    def _write(self, line: str) -> None:
        with naming(self.path):
            self.file.write(f"{line}\n".encode())
            self.file.flush()

    def _take(self, entry: dict) -> None:
        if entry["facts"]:
            self.by_bytes[entry["how"], entry["sha256"]] = entry
        self.by_file[entry["how"], entry["path"]] = entry

    def probe(self, path, how: dict, probe) -> tuple[MediaFacts | MediaError, str, list[int] | None]:
        """What `probe()` finds in a file or the error it raises, the sha256 of the file's bytes, and its state.

        Without a file the sha256 is "" and the state None.

        how: everything besides the file that decides what is found. A file that changes meanwhile gives the error "changed".
        """
        path, how = str(path), json.dumps(how, sort_keys=True)
        try:
            before = provenance.file_state(path)
            known = self.by_file.get((how, path))
            if known and known["state"] == before:
                return _found(known), known["sha256"], before
            digest = provenance.file_hash(path)
        except OSError:
            before, digest = None, ""
        entry = dict(path=path, how=how, state=before, sha256=digest, facts=None, reason="", detail="")
        if same := self.by_bytes.get((how, digest)):
            entry["facts"] = same["facts"]
        else:
            try:
                entry["facts"] = vars(probe())
            except MediaError as error:
                entry |= dict(reason=error.reason, detail=str(error))
        if not before:
            return _found(entry), "", None
        try:
            after = provenance.file_state(path)
        except OSError:
            after = None
        if after != before:
            detail = f"{path}: the file changed while it was read; wait until it is complete, and run the same command again"
            return MediaError("changed", detail), digest, before
        with self.lock:
            self._take(entry)
            self._write(json.dumps(entry))
        return _found(entry), digest, before


def _found(entry: dict) -> MediaFacts | MediaError:
    return MediaFacts(**entry["facts"]) if entry["facts"] else MediaError(entry["reason"], entry["detail"])
