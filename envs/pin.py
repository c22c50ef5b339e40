"""Write a pin file for each environment that comes from conda-forge alone: every package with its address and md5.

    make pins        # on Linux, with conda 24.7.1 or newer and access to conda-forge; downloads about 5 GB

Snakemake then installs exactly these files, without solving. An environment with a pip section gets no pin file: the section
already fixes every package, and a pin file would make Snakemake skip it. conda is told the CUDA version of torch's wheel, so that
a machine without a GPU pins the same packages. CONDA_OVERRIDE_CUDA sets another version.
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
    """Package -> version of an environment that comes from conda-forge alone; None if it has a pip section."""
    text = path.read_text(encoding="utf-8")
    return None if "- pip:" in text else dict(re.findall(r"^ +- ([\w.-]+) =([\w.]+)$", text, re.MULTILINE))


def conda(*arguments) -> str:
    """The output of a conda command. If it fails, ends the program with an error that includes the output."""
    settings = {"CONDA_OVERRIDE_CUDA": CUDA, **os.environ, "CONDA_SUBDIR": PLATFORM}
    done = subprocess.run(["conda", *map(str, arguments)], env=settings, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: conda {arguments[0]} failed; check the access to conda-forge\n{done.stdout}{done.stderr}")
    return done.stdout


def pin(path: Path, needs: dict[str, str]) -> Path:
    """Make the environment in a temporary folder and write its pin file. Ends the program if a package has another version."""
    with tempfile.TemporaryDirectory() as folder:
        conda("env", "create", "--quiet", "--prefix", f"{folder}/env", "--file", path)
        listed = conda("list", "--explicit", "--md5", "--prefix", f"{folder}/env")
    names = [line.rpartition("/")[2] for line in listed.splitlines() if "://" in line]
    for name, version in needs.items():
        if not any(file.startswith(f"{name}-{version}-") for file in names):
            sys.exit(f"error: {path}: conda installed another version than {name} {version}; no pin file was written")
    out = path.with_suffix(f".{PLATFORM}.pin.txt")
    out.write_text(listed, encoding="utf-8")
    return out


def main():
    if not shutil.which("conda"):
        sys.exit("error: conda is not on the PATH; install Miniforge, or use a machine that has conda")
    for path in sorted(HERE.glob("*.yaml")):
        if needs := wanted(path):
            print(f"written: {pin(path, needs)}", flush=True)


if __name__ == "__main__":
    main()
