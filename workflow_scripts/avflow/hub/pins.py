"""Pins: the commit of a repository that is used, and the size and hash of every file that is needed from it.

`snakemake pin` writes `resources/pins/<name>.json` from what the hub reports. While `revision` is null, nothing is downloaded.
Downloads are checked against their pin, so people who share a pin have the same bytes.
"""

import fnmatch
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from ..errors import InputError
from ..storage import whole
from .repository import HubFile, Listing

CHECKPOINT = ("*.json", "*.jinja", "*.safetensors", "merges.txt")  # weights, config, tokenizer and preprocessor, but no pickles
OURS = ("manifest.json", "verified.jsonl")  # files that avflow writes into a downloaded folder
REMEDY = "run: snakemake pin --config study=paper (on a networked machine), then commit resources/pins"
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors)$")


@dataclass(frozen=True)
class Pin:
    """One pinned repository. repo_type: "model" or "dataset". licence: as its card states it. gated: as the hub states it."""

    repo: str
    repo_type: str
    revision: str
    licence: str | None
    gated: str | bool
    files: tuple[HubFile, ...]

    def as_json(self) -> dict:
        """The pin as it is written to disk. Each file lists only the kind of hash that it has."""
        files = [{k: v for k, v in asdict(f).items() if v is not None} for f in self.files]
        return {**asdict(self), "files": files}


def matches(path: str, pattern: str) -> bool:
    """Whether a path matches a pattern. As in a shell, `*` does not match a slash."""
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def select(name: str, listing: Listing, patterns: list[str] | None) -> tuple[HubFile, ...]:
    """The files of a listing that are needed: those that match `patterns`, or with None those of a checkpoint.

    Raises InputError if a pattern matches nothing, a checkpoint lacks config.json or a shard, or a file has a name in `OURS`.
    """
    wanted = tuple(f for f in listing.files if any(matches(f.path, p) for p in patterns or CHECKPOINT))
    there = {f.path for f in wanted}
    for pattern in patterns or ("config.json", "*.safetensors"):
        if not any(matches(path, pattern) for path in there):
            raise InputError(
                f"{name}: no file matches {pattern!r} in revision {listing.revision}, which holds {_some(listing.files)};"
                f" correct {'files' if patterns else 'repo'} of {name} in config.yaml"
            )
    for path in sorted(there):
        if shard := SHARD.match(path):
            stem, _, total, end = shard.groups()
            for number in range(1, int(total) + 1):
                needed(f"{stem}-{number:05d}-of-{total}{end}", there, name, f"the other names say {int(total)} shards")
        if PurePosixPath(path).parts[0] in OURS:
            raise InputError(
                f"{name}: the repository holds a file named {path}, but downloads write a file of that name; name other"
                " `files`, or another repository, in config.yaml"
            )
    return wanted


def needed(path: str, there, name: str, why: str) -> None:
    """Raises InputError if `path` is not among the pinned files, `there`."""
    if path not in there:
        raise InputError(
            f"{name}: {path} is missing from the repository ({why}); the checkpoint is incomplete at this revision, so name"
            f" another `revision` of {name} in config.yaml and pin it"
        )


def _some(files, most: int = 8) -> str:
    names = [f.path for f in files]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "no file"


def read_pin(path) -> Pin:
    """Read a pin that can be downloaded. Raises InputError if it does not exist, is not pinned, or is damaged."""
    path = Path(path)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} does not exist; {REMEDY}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); {REMEDY}") from None
    if said.get("revision") is None:
        raise InputError(f"{path}: {said.get('repo')} is not pinned (revision is null); {REMEDY}")
    try:
        files = tuple(HubFile(f["path"], f["size"], f.get("sha256"), f.get("blob")) for f in said["files"])
        pin = Pin(said["repo"], said["repo_type"], said["revision"], said["licence"], said["gated"], files)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error} is missing or of the wrong type; {REMEDY}") from None
    if not re.fullmatch(r"[0-9a-f]{40}", pin.revision):
        raise InputError(f"{path}: revision is {pin.revision!r}, not a commit of 40 hexadecimal digits; {REMEDY}")
    for file in files:
        if bool(file.sha256) == bool(file.blob):
            raise InputError(f"{path}: {file.path} needs one of sha256 and blob; {REMEDY}")
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise InputError(f"{path}: {file.path!r} would leave its folder; {REMEDY}")
    return pin


def change(path, pin: Pin) -> str:
    """What a new pin changes in the one at `path`, in a few words. "new" also stands for a pin that cannot be read."""
    try:
        before = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "new"
    if before.get("revision") in (None, pin.revision):
        return "unchanged" if before == pin.as_json() else "new"
    return f"was {before['revision']}, with {'the same' if before.get('files') == pin.as_json()['files'] else 'other'} files"


def write_json(path, value) -> None:
    """Write a small JSON file. It appears only when it is complete."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
