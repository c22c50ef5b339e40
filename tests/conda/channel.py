"""A conda channel in a folder, with what the rules' environments take from conda: Python and pip. Standard library only."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

SUBDIR = "linux-64"


def pack(channel: Path, name: str, version: str, root: Path, depends=()) -> None:
    """Add a package: the files below `root`, and how a package describes itself."""
    paths = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() or p.is_symlink()):
        entry = {"_path": path.relative_to(root).as_posix(), "path_type": "softlink" if path.is_symlink() else "hardlink"}
        data = b"" if path.is_symlink() else path.read_bytes()
        entry |= {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        if str(root).encode() in data and b"\0" not in data:  # text that names the folder it was made in
            entry |= {"file_mode": "text", "prefix_placeholder": str(root)}
        paths.append(entry)
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": list(depends), "subdir": SUBDIR}
    index |= {"arch": "x86_64", "platform": "linux", "license": "none", "timestamp": 1700000000000}
    described = {"index.json": index, "paths.json": {"paths": paths, "paths_version": 1}}
    out = channel / SUBDIR / f"{name}-{version}-0.tar.bz2"
    with tarfile.open(out, "w:bz2", compresslevel=1) as tar:
        for file, content in described.items():
            member, data = tarfile.TarInfo(f"info/{file}"), json.dumps(content).encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for entry in paths:
            tar.add(root / entry["_path"], arcname=entry["_path"], recursive=False)
    data = out.read_bytes()
    known = channel / SUBDIR / "repodata.json"
    listed = json.loads(known.read_text())
    sums = {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    listed["packages"][out.name] = index | sums
    known.write_text(json.dumps(listed))


def site_packages(root: Path) -> Path:
    return root / f"lib/python3.{sys.version_info.minor}/site-packages"


def pack_python(channel: Path, work: Path, version: str, pip_version: str) -> None:
    """This interpreter as a package of its own, whatever version it is said to have, and its pip as another."""
    root, pip = work / "python", work / "pip"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", root], check=True)
    for path in [*root.rglob("*.pyc"), *(root / "bin").glob("[Aa]ctivate*"), root / "lib64"]:
        path.unlink(missing_ok=True)
    for path in [*site_packages(root).iterdir(), *(root / "bin").glob("pip*")]:
        if path.name.startswith("pip"):
            (pip / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            path.rename(pip / path.relative_to(root))
        else:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (pip / "bin").iterdir():
        path.write_text(path.read_text().replace(str(root), str(pip)))
    pack(channel, "python", version, root)
    pack(channel, "pip", pip_version, pip, [f"python =={version}"])


def make(folder: Path, python: str, pip: str) -> str:
    """Make a channel named conda-forge with these versions of Python and pip. Returns the address of its parent."""
    channel, work = folder / "channels/conda-forge", folder / "work"
    for subdir in (SUBDIR, "noarch"):
        (channel / subdir).mkdir(parents=True)
        (channel / subdir / "repodata.json").write_text(json.dumps({"info": {"subdir": subdir}, "packages": {}}))
    work.mkdir()
    pack_python(channel, work, python, pip)
    return (folder / "channels").as_uri()
