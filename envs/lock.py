"""Write requirements.lock and cuda.lock from requirements.in: every package with its version and the hashes of its files.

    make lock        # needs uv on the PATH and an index of packages; takes about 20 s, then writes envs/*.yaml, too

Versions stay as they are locked. To change one, state it in requirements.in, or remove the package from the lock first.

* requirements.lock is for Python 3.11 to 3.13 on Linux x86_64. It has the hashes of two builds of torch: PyPI's, which uses
  CUDA, and PyTorch's CPU build, so that `TORCH_INDEX` is checked as well.
* cuda.lock has what torch's CUDA build brings along. setup.sh installs it only with that build.

Hashes are those of wheels. A package without a wheel has that of its source.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[1]
PYTHONS = (11, 12, 13)  # minor versions
CUDA = re.compile(r"nvidia-|cuda-|triton$")
# SHA-256 of torch's CPU builds for PYTHONS, as download.pytorch.org/whl/cpu lists them. PyPI does not have these files.
TORCH_CPU = {
    "2.13.0": (
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
        "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
    )
}
HEADS = {
    "requirements.lock": "# For Python 3.11 to 3.13 on Linux x86_64; made by envs/lock.py from requirements.in.\n",
    "cuda.lock": "# What torch's CUDA build brings along, made by envs/lock.py. setup.sh installs it only with that build.\n",
}


def resolved() -> list[dict]:
    """The packages that requirements.in needs on any platform, with their files; each keeps its locked version."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "kept.txt")
        locks = [(ROOT / name).read_text() for name in HEADS if (ROOT / name).exists()]
        kept.write_text("\n".join(re.findall(r"^[\w.-]+==[\w.+]+", "\n".join(locks), re.MULTILINE)))
        out = Path(folder, "pylock.toml")
        command = ["uv", "pip", "compile", ROOT / "requirements.in", "-c", kept, "--universal", "--quiet"]
        command += ["--python-version", f"3.{PYTHONS[0]}", "--format", "pylock.toml", "-o", out]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            sys.exit("error: uv is not on the PATH; pip install uv, in an environment of its own")
        if done.returncode:
            sys.exit(f"error: uv did not resolve requirements.in\n{done.stderr}")
        return tomllib.loads(out.read_text())["packages"]


def needed_by(package: dict) -> list[int]:
    """The minor versions of Python, of PYTHONS, for which a package is needed on Linux."""
    marker = Marker(package.get("marker", "python_version > '3'"))
    there = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
    there |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    versions = lambda minor: {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}  # noqa: E731
    return [minor for minor in PYTHONS if marker.evaluate(there | versions(minor))]


def fits(file: str, minor: int) -> bool:
    """Does a wheel install in Python 3.<minor> on Linux x86_64 with glibc?"""
    for tag in parse_wheel_filename(file)[3]:
        here = tag.platform == "any" or (tag.platform.startswith(("manylinux", "linux")) and tag.platform.endswith("x86_64"))
        own = tag.interpreter == f"cp3{minor}" and tag.abi in (f"cp3{minor}", "abi3", "none")
        older = re.fullmatch(r"cp3(\d+)", tag.interpreter) if tag.abi == "abi3" else None
        if here and (own or (older and int(older[1]) <= minor) or (tag.interpreter == "py3" and tag.abi == "none")):
            return True
    return False


def hashes(package: dict, minors: list[int]) -> list[str]:
    """SHA-256 of the files that pip may install; of the source if a Python of `minors` has no wheel."""
    wheels = {w.get("name") or w["url"].rpartition("/")[2]: w["hashes"]["sha256"] for w in package.get("wheels", ())}
    found = {digest: None for name, digest in wheels.items() if any(fits(name.replace("%2B", "+"), m) for m in minors)}
    if not all(any(fits(name.replace("%2B", "+"), m) for name in wheels) for m in minors):
        if "sdist" not in package:
            sys.exit(f"error: {package['name']} {package['version']} has neither a wheel for every Python nor a source")
        found[package["sdist"]["hashes"]["sha256"]] = None
    if package["name"] == "torch":
        if package["version"] not in TORCH_CPU:
            sys.exit(f"error: add the hashes of the CPU builds of torch {package['version']} to TORCH_CPU in envs/lock.py")
        found |= dict.fromkeys(TORCH_CPU[package["version"]])
    return sorted(found)


def marker_of(minors: list[int]) -> str:
    """What stands behind a version that not every Python of PYTHONS needs."""
    if minors == list(PYTHONS):
        return ""
    if minors == [m for m in PYTHONS if m >= minors[0]]:
        return f" ; python_version >= '3.{minors[0]}'"
    if len(minors) == 1:
        return f" ; python_version == '3.{minors[0]}'"
    return f" ; python_version <= '3.{minors[-1]}'"


def main():
    texts = dict(HEADS)
    for package in sorted(resolved(), key=lambda package: package["name"]):
        if minors := needed_by(package):
            lock = "cuda.lock" if CUDA.match(package["name"]) else "requirements.lock"
            listed = "".join(f" \\\n    --hash=sha256:{digest}" for digest in hashes(package, minors))
            texts[lock] += f"{package['name']}=={package['version']}{marker_of(minors)}{listed}\n"
    for name, text in texts.items():
        (ROOT / name).write_text(text)
        packages = len(re.findall(r"^[a-z0-9.-]+==", text, re.MULTILINE))
        print(f"written: {name}, {packages} packages, {text.count('--hash')} hashes")


if __name__ == "__main__":
    main()
