"""Pins: which commit of a repository is used, and the size and hash of every file that is needed of it.

`resources/pins/<name>.json` is written by `snakemake pin` from what the hub says; nobody types a hash. While `revision` is
null nothing is downloaded. A download is held against its pin, so that two people who share a pin share every byte.
"""

import fnmatch
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from ..errors import InputError
from ..storage import whole
from .repository import HubFile, Listing

CHECKPOINT = ("*.json", "*.jinja", "*.safetensors", "merges.txt")  # weights, config, tokenizer, preprocessor; no pickles
OURS = ("manifest.json", "verified.jsonl")  # names that a downloaded folder keeps for itself
REMEDY = "run: snakemake pin --config study=paper (on a networked machine), then commit resources/pins"
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors)$")


@dataclass(frozen=True)
class Pin:
    """One repository, fixed. repo_type: "model" or "dataset"; licence and gated as its card and the hub state them."""

    repo: str
    repo_type: str
    revision: str
    licence: str | None
    gated: str | bool
    files: tuple[HubFile, ...]

    def as_json(self) -> dict:
        """The pin as it is written: of the two hashes of a file only the one that it has."""
        files = [{k: v for k, v in asdict(f).items() if v is not None} for f in self.files]
        return {**asdict(self), "files": files}


def matches(path: str, pattern: str) -> bool:
    """Like a shell's: `*` stays within a folder."""
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def select(name: str, listing: Listing, patterns: list[str] | None) -> tuple[HubFile, ...]:
    """The files of a listing that are needed: those of a checkpoint, or those that patterns name.

    Raises InputError when a pattern fits nothing, a checkpoint lacks config.json or a shard, or a file would be overwritten.
    """
    wanted = tuple(f for f in listing.files if any(matches(f.path, p) for p in patterns or CHECKPOINT))
    there = {f.path for f in wanted}
    for pattern in patterns or ("config.json", "*.safetensors"):
        if not any(matches(path, pattern) for path in there):
            raise InputError(
                f"{name}: no file fits {pattern!r} in revision {listing.revision}, which holds {_some(listing.files)};"
                f" correct {'files' if patterns else 'repo'} of {name} in config.yaml"
            )
    for path in sorted(there):
        if shard := SHARD.match(path):
            stem, _, total, end = shard.groups()
            for number in range(1, int(total) + 1):
                needed(f"{stem}-{number:05d}-of-{total}{end}", there, name, f"the others' names say {int(total)} shards")
        if PurePosixPath(path).parts[0] in OURS:
            raise InputError(f"{name}: the repository holds a file named {path}, which is kept for the record of the download")
    return wanted


def needed(path: str, there, name: str, why: str) -> None:
    """Raise InputError when a file is not among the pinned ones."""
    if path not in there:
        raise InputError(
            f"{name}: {path} is missing from the repository ({why}); the checkpoint is incomplete at this revision, so name"
            f" another `revision` of {name} in config.yaml and pin it"
        )


def _some(files, most: int = 8) -> str:
    names = [f.path for f in files]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "no file"


def read_pin(path) -> Pin:
    """A pin that can be downloaded. Raises InputError for one that is not there, not pinned, or damaged."""
    path = Path(path)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} is not there; {REMEDY}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); {REMEDY}") from None
    if said.get("revision") is None:
        raise InputError(f"{path}: {said.get('repo')} is not pinned (revision is null); {REMEDY}")
    try:
        files = tuple(HubFile(f["path"], f["size"], f.get("sha256"), f.get("blob")) for f in said["files"])
        pin = Pin(said["repo"], said["repo_type"], said["revision"], said["licence"], said["gated"], files)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error} is missing or of the wrong kind; {REMEDY}") from None
    if not re.fullmatch(r"[0-9a-f]{40}", pin.revision):
        raise InputError(f"{path}: revision is {pin.revision!r}, not a commit of 40 hexadecimal digits; {REMEDY}")
    for file in files:
        if bool(file.sha256) == bool(file.blob):
            raise InputError(f"{path}: {file.path} needs one of sha256 and blob; {REMEDY}")
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise InputError(f"{path}: {file.path!r} would leave its folder; {REMEDY}")
    return pin


def change(path, pin: Pin) -> str:
    """What a new pin changes in the one at `path`, in a few words; one that cannot be read is about to be replaced."""
    try:
        before = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "new"
    if before.get("revision") in (None, pin.revision):
        return "unchanged" if before == pin.as_json() else "new"
    return f"was {before['revision']}, with {'the same' if before.get('files') == pin.as_json()['files'] else 'other'} files"


def write_json(path, value) -> None:
    """Write a small JSON file so that it is there whole or not at all."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
