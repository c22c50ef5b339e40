"""Write the conda environments of the rules from requirements.lock, so that a version is decided in one place.

    .venv/bin/python envs/update.py            # rewrite envs/*.yaml
    .venv/bin/python envs/update.py --check    # exit 1 if they are not what the lock says

Run it after changing requirements.lock, in the environment made from it: what each package needs is read from its metadata.

An environment is fixed in one of two ways, never both, for a pin file makes Snakemake skip a pip section without a word. WHEELS
have a pip section with every package, directly needed or not. FORGED come from conda-forge alone, which builds torch for the
cluster's GPUs: what is imported is fixed here, and the rest by a pin file, which envs/pin.py makes.
"""

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
WHEELS = {  # what the scripts of a stage import
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
FORGED = {"models": ["numpy", "pyarrow", "pyyaml", "safetensors", "tokenizers", "torch", "transformers"]}
FORGE_NAMES = {"torch": "pytorch-gpu"}  # where conda-forge's name is another
PYTHON, PIP = "3.11.13", "25.2"
THERE = {"python_version": PYTHON.rpartition(".")[0], "python_full_version": PYTHON, "extra": ""}  # on Linux, as here


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, str]:
    """Package -> version of a lock, for PYTHON."""
    lines = [line for line in lock.read_text().splitlines() if "==" in line and ";" not in line]
    return {canonical(name): version for name, version in (line.split("==") for line in lines)}


def closure(names, locked) -> list[str]:
    """The packages that `names` need, directly or not, as far as the lock has them."""
    waiting, seen = [canonical(n) for n in names], set()
    while waiting:
        name = waiting.pop()
        if name in locked and name not in seen:
            seen.add(name)
            needs = map(Requirement, metadata.requires(name) or [])
            waiting += [canonical(n.name) for n in needs if not n.marker or n.marker.evaluate(THERE)]
    return sorted(seen)


def environment(stage: str, locked: dict[str, str]) -> str:
    """The yaml of one stage."""
    if stage in WHEELS:
        wheels = "".join(f"      - {name}=={locked[name]}\n" for name in closure(WHEELS[stage], locked))
        packages = f"  - pip ={PIP}\n  - pip:\n{wheels}"
    else:
        packages = "".join(f"  - {FORGE_NAMES.get(name, name)} ={locked[name]}\n" for name in FORGED[stage])
    return (
        f"# Made by envs/update.py from requirements.lock; change that and run it again.\nchannels:\n  - conda-forge\n"
        f"dependencies:\n  - python ={PYTHON}\n{packages}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 on a difference")
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
