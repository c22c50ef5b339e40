"""What a downloaded folder must hold: its manifest lists every file, and one that has gone since is named.

A manifest alone proves nothing for ever: clusters sweep files that nobody opened for weeks, and without one of its archives a
benchmark would merely lose the questions whose clips are in it.
"""

import json
from pathlib import Path

from ..errors import InputError


def remedy(rule: str, folder) -> str:
    """What to run so that a folder holds what it should; rule: the one that fetches it."""
    manifest = Path(folder) / "manifest.json"
    first = f"delete {manifest} and, " if manifest.is_file() else ""
    return f"the rule {rule} fetches it: {first}where the network is, run: snakemake downloads (with the study's --config)"


def check(folder, rule: str) -> None:
    """Raises InputError for the first file of the manifest that is not there in its size. Of a folder without one: nothing."""
    manifest = Path(folder) / "manifest.json"
    if not manifest.is_file():
        return
    try:
        files = {file["path"]: file["size"] for file in json.loads(manifest.read_text(encoding="utf-8"))["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{manifest} is damaged ({error}); {remedy(rule, folder)}") from None
    for name, size in files.items():
        path = Path(folder) / name
        if not path.is_file():
            raise InputError(f"{path} was downloaded and is not there any more; {remedy(rule, folder)}")
        if path.stat().st_size != size:
            raise InputError(f"{path} has {path.stat().st_size} bytes and was downloaded with {size}; {remedy(rule, folder)}")
