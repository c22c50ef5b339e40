"""Write one pin for each model and dataset of a study, from the hub: commit, licence, and files with sizes and hashes.

    python workflow_scripts/pin.py --out resources/pins \\
        --targets '{"qwen2.5-omni-3b": {"repo": "Qwen/Qwen2.5-Omni-3B", "repo_type": "model"}}'

Needs the network, takes seconds and downloads no files. A target's `revision` (a branch, tag or commit) defaults to "main", its
`files` to those of a checkpoint. A pin that already exists is updated, and the change is printed.
"""

import argparse
import json
from pathlib import Path

from avflow import cli
from avflow.errors import InputError
from avflow.hub import Backoff, Pin, change, describe, select, size, write_json
from avflow.hub.repository import Source


def pin(name: str, target: dict, out: Path) -> None:
    """Write `out`/<name>.json."""
    source = Source(target["repo"], target["repo_type"], target.get("revision", "main"))
    listing = describe(source, Backoff())
    files = select(name, listing, target.get("files"))
    path = out / f"{name}.json"
    made = Pin(source.repo, source.repo_type, listing.revision, listing.licence, listing.gated, files)
    changed = change(path, made)
    write_json(path, made.as_json())
    print(f"{name}: {source.repo} at {listing.revision} ({changed}), {len(files)} files, {size(sum(f.size for f in files))}")
    print(f"{name}: licence: {listing.licence or 'not stated'}; read it at {source.page}")
    expected = target.get("licence")
    if expected and expected != listing.licence:
        print(f"{name}: config.yaml expects the licence {expected!r}; read the card, then correct config.yaml")
    if listing.gated:
        print(f"{name}: gated ({listing.gated}); accept the terms at {source.page} and set HF_TOKEN, then download it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=json.loads, required=True, help="JSON: name -> repo, repo_type, and the optional keys")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pins")
    arguments = parser.parse_args()
    if not arguments.targets:
        raise InputError("this study takes nothing from the hub; run: snakemake pin --config study=paper")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, target in arguments.targets.items():
        pin(name, target, arguments.out)
    print(f"Review the changes and commit {arguments.out}.")


if __name__ == "__main__":
    cli.run(main)
