"""Write the pin files of the environments that come from conda-forge alone: every package of theirs, with its address and md5.

    make pins        # on Linux, with conda 24.7.1 or newer and conda-forge in reach; some 5 GB are downloaded

Snakemake then installs exactly these files and solves nothing. An environment with a pip section gets none: its pip section
fixes every package, and a pin file would make Snakemake skip it. conda is told of the CUDA for which torch's wheel is built, so
that a machine without a GPU pins the same packages; CONDA_OVERRIDE_CUDA names another.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PLATFORM, CUDA = "linux-64", "13.0"


def wanted(path: Path) -> dict[str, str] | None:
    """Package -> version of an environment that comes from conda-forge alone; None where pip has a part in it."""
    text = path.read_text(encoding="utf-8")
    return None if "- pip:" in text else dict(re.findall(r"^ +- ([\w.-]+) =([\w.]+)$", text, re.MULTILINE))


def conda(*arguments) -> str:
    """What a conda command prints. Ends the program where it fails, with what it said."""
    settings = {"CONDA_OVERRIDE_CUDA": CUDA, **os.environ, "CONDA_SUBDIR": PLATFORM}
    done = subprocess.run(["conda", *map(str, arguments)], env=settings, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: conda {arguments[0]} failed; is conda-forge in reach?\n{done.stdout}{done.stderr}")
    return done.stdout


def pin(path: Path, needs: dict[str, str]) -> Path:
    """Make the environment in a temporary folder and list it. Ends the program where a package is of another version."""
    with tempfile.TemporaryDirectory() as folder:
        conda("env", "create", "--quiet", "--prefix", f"{folder}/env", "--file", path)
        listed = conda("list", "--explicit", "--md5", "--prefix", f"{folder}/env")
    names = [line.rpartition("/")[2] for line in listed.splitlines() if "://" in line]
    for name, version in needs.items():
        if not any(file.startswith(f"{name}-{version}-") for file in names):
            sys.exit(f"error: {path}: conda made it without {name} {version}; no pin file is written")
    out = path.with_suffix(f".{PLATFORM}.pin.txt")
    out.write_text(listed, encoding="utf-8")
    return out


def main():
    if not shutil.which("conda"):
        sys.exit("error: conda is not on the PATH; install Miniforge, or run this on a machine that has conda")
    for path in sorted(HERE.glob("*.yaml")):
        if needs := wanted(path):
            print(f"written: {pin(path, needs)}", flush=True)


if __name__ == "__main__":
    main()
