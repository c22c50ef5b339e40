"""Write the conda environments of the rules from requirements.lock, so that each version is set in one place.

    .venv/bin/python envs/update.py            # rewrite envs/*.yaml
    .venv/bin/python envs/update.py --check    # exit 1 if they differ from the lock

After a change of requirements.lock, run it in the environment made from the lock: it reads dependencies from installed metadata.

There are two ways to fix an environment. They must not be mixed, because a pin file makes Snakemake skip a pip section silently.

* WHEELS have a pip section with every package, including indirect dependencies.
* FORGED come from conda-forge alone, which builds torch for the cluster's GPUs. Imported packages are fixed here, all others by a
  pin file, which envs/pin.py makes.
"""

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
WHEELS = {  # imports of the scripts of each stage
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
}
FORGED = {
    "models": ["av", "librosa", "numpy", "pillow", "pyarrow", "pyyaml", "safetensors", "tokenizers", "torch", "transformers"]
}
FORGE_NAMES = {"torch": "pytorch-gpu"}  # packages that conda-forge names differently
PYTHON, PIP = "3.11.13", "25.2"
# Markers of the environments. All others, such as the platform, are those of this machine: run this on Linux.
THERE = {"python_version": PYTHON.rpartition(".")[0], "python_full_version": PYTHON, "extra": ""}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, str]:
    """Package -> version in a lock, without lines that have a marker."""
    lines = [line for line in lock.read_text().splitlines() if "==" in line and ";" not in line]
    return {canonical(name): version for name, version in (line.split("==") for line in lines)}


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


def environment(stage: str, locked: dict[str, str]) -> str:
    """The yaml text of one stage."""
    if stage in WHEELS:
        wheels = "".join(f"      - {name}=={locked[name]}\n" for name in closure(WHEELS[stage], locked))
        packages = f"  - pip ={PIP}\n  - pip:\n{wheels}"
    else:
        packages = "".join(f"  - {FORGE_NAMES.get(name, name)} ={locked[name]}\n" for name in FORGED[stage])
    return (
        f"# Made by envs/update.py from requirements.lock: change the lock, then run the script.\nchannels:\n  - conda-forge\n"
        f"dependencies:\n  - python ={PYTHON}\n{packages}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    locked, stale = pins(HERE.parent / "requirements.lock"), []
    for stage in (*WHEELS, *FORGED):
        path, wanted = HERE / f"{stage}.yaml", environment(stage, locked)
        if not path.exists() or path.read_text() != wanted:
            stale.append(path.name)
            if not check:
                path.write_text(wanted)
    if stale:
        print(f"{'not up to date' if check else 'written'}: {', '.join(stale)}")
    sys.exit(bool(check and stale))


if __name__ == "__main__":
    main()
