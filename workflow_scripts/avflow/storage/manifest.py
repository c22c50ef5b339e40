"""Check that a downloaded folder still holds every file that its manifest lists.

The manifest's existence is not enough. Clusters delete files that nobody has opened for weeks. If an archive of a benchmark were
missing, the questions about its clips would just be dropped.
"""

import json
from pathlib import Path

from ..errors import InputError


def remedy(rule: str, folder) -> str:
    """What to run so that a folder is complete again. rule: the rule that fetches it."""
    manifest = Path(folder) / "manifest.json"
    first = f"delete {manifest} and, " if manifest.is_file() else ""
    return f"the rule {rule} fetches it: {first}on a networked machine, run: snakemake downloads (with the study's --config)"


def check(folder, rule: str) -> None:
    """Raises InputError for the first file of the manifest that is missing or has another size.

    A folder without a manifest passes.
    """
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
            raise InputError(f"{path} was downloaded but no longer exists; {remedy(rule, folder)}")
        if path.stat().st_size != size:
            raise InputError(f"{path} has {path.stat().st_size} bytes, but {size} were downloaded; {remedy(rule, folder)}")
