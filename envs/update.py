"""Write the conda environments of the rules from the locks, so that each version and hash is set in one place.

    .venv/bin/python envs/update.py            # rewrite envs/*.yaml
    .venv/bin/python envs/update.py --check    # exit 1 if they differ from the locks

Run it after a change of the locks, in the environment made from them: it reads dependencies from installed metadata. `make lock`
does both.

conda installs Python and pip alone. Every other package is a wheel with its hashes, including indirect dependencies: PyTorch
publishes wheels only, and pip refuses a file whose hash is not listed. torch brings along all of cuda.lock.
"""

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
IMPORTS = {  # of the scripts of each stage
    "data": [
        "av",
        "decord",
        "librosa",
        "numpy",
        "pillow",
        "pyarrow",
        "safetensors",
        "soundfile",
        "torch",
        "transformers",
        "httpx",
        "huggingface-hub",
    ],
    "figures": [
        "ipykernel",
        "matplotlib",
        "numpy",
        "pandas",
        "papermill",
        "pyarrow",
        "pyyaml",
        "safetensors",
        "scipy",
    ],
    "models": [
        "av",
        "decord",
        "librosa",
        "numpy",
        "pillow",
        "pyarrow",
        "pyyaml",
        "safetensors",
        "soundfile",
        "tokenizers",
        "torch",
        "transformers",
    ],
}
PYTHON, PIP = "3.11.13", "25.2"
# Markers of the environments. All others, such as the platform, are those of this machine: run this on Linux.
THERE = {"python_version": PYTHON.rpartition(".")[0], "python_full_version": PYTHON, "extra": ""}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_lines(name: str) -> dict[str, str]:
    """Package -> its requirement with all hashes, in one line; without packages that other versions of Python need."""
    lines = (HERE.parent / name).read_text().replace(" \\\n    ", " ").splitlines()
    return {line.partition("==")[0]: line for line in lines if "==" in line and " ;" not in line}


def closure(names, locked) -> list[str]:
    """The packages in the lock that `names` need, directly or indirectly."""
    waiting, seen = [canonical(n) for n in names], set()
    while waiting:
        name = waiting.pop()
        if name in locked and name not in seen:
            seen.add(name)
            needs = map(Requirement, metadata.requires(name) or [])
            waiting += [canonical(n.name) for n in needs if not n.marker or n.marker.evaluate(THERE)]
    return sorted(seen)


def environment(stage: str, locked: dict[str, str], cuda: dict[str, str]) -> str:
    """The yaml text of one stage."""
    lines = {name: locked[name] for name in closure(IMPORTS[stage], locked)}
    if "torch" in lines:
        lines |= cuda
    return (
        "# Made by envs/update.py from the locks: change those, then run the script.\nchannels:\n  - conda-forge\n"
        f"dependencies:\n  - python ={PYTHON}\n  - pip ={PIP}\n  - pip:\n"
        + "".join(f"      - {line}\n" for _, line in sorted(lines.items()))
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    locked, cuda, stale = locked_lines("requirements.lock"), locked_lines("cuda.lock"), []
    for stage in IMPORTS:
        path, wanted = HERE / f"{stage}.yaml", environment(stage, locked, cuda)
        if not path.exists() or path.read_text() != wanted:
            stale.append(path.name)
            if not check:
                path.write_text(wanted)
    if stale:
        print(f"{'not up to date' if check else 'written'}: {', '.join(stale)}")
    sys.exit(bool(check and stale))


if __name__ == "__main__":
    main()
