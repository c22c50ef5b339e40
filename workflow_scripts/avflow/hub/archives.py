"""Find a benchmark's media, which the hub ships in folders or zip archives, by the path that a question gives.

Archives are read member by member, and each member is written under a name that avflow chooses. An archive with a member whose
name leads out of its folder is refused as a whole.
"""

import os
import shutil
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..cli import Progress
from ..errors import InputError, Unusable
from ..storage import whole

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class Source:
    """The place of a medium: a file, or a member of an archive."""

    path: Path
    member: str = ""


def climbs(name: str) -> bool:
    """Whether a path leads out of its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.parts or path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":")


class Shipped:
    """All files under a folder, and all members of the zip archives in it."""

    def __init__(self, folder, archives: str = "*.zip"):
        """archives: pattern of the zip files to read; if no file matches, all zip files are read.

        Raises InputError for an archive that is damaged or that cannot be trusted.
        """
        self.folder, self.sources, self.names = Path(folder), {}, {}
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file() and p.suffix != ".zip"):
            self._add(str(path.relative_to(self.folder)), Source(path))
        for path in sorted(self.folder.rglob(archives)) or sorted(self.folder.rglob("*.zip")):
            try:
                with zipfile.ZipFile(path) as archive:
                    members = [info.filename for info in archive.infolist() if not info.is_dir()]
            except DAMAGED as error:
                raise InputError(f"{path}: not a complete zip archive ({error}); delete it and download it again") from None
            for member in members:
                if climbs(member):
                    raise InputError(f"{path}: member {member!r} would leave its folder; do not trust this archive")
                self._add(member, Source(path, member))

    def _add(self, name: str, source: Source) -> None:
        self.sources.setdefault(name, source)
        self.names.setdefault(PurePosixPath(name).name, {}).setdefault(name, source)

    def find(self, path: str) -> Source:
        """The medium with exactly this path, else the only one whose path ends with it, else the only one with its file name.

        Raises Unusable if there is none, or more than one.
        """
        if climbs(path):
            raise Unusable("bad_path", f"path {path!r} would leave its folder")
        if path in self.sources:
            return self.sources[path]
        found = self.names.get(PurePosixPath(path).name, {})
        ending = {name: source for name, source in found.items() if name.endswith(f"/{path}")} or found
        if not ending:
            raise Unusable("missing", f"{path} is neither in {self.folder} nor in its archives; download the dataset again")
        if len(ending) > 1:
            raise Unusable("ambiguous_media", f"{path} matches several media: {', '.join(sorted(ending))}")
        return next(iter(ending.values()))


def put_in_place(jobs: dict[str, Source], root, threads: int) -> dict[str, tuple[str, str]]:
    """Place media at `root`/path. Files become hard links where the file system allows, else copies. jobs: path -> source.

    Returns path -> (reason, detail) for the media that cannot be read.
    """
    by_file = {}
    for path, source in sorted(jobs.items()):
        by_file.setdefault(source.path if source.member else None, []).append((path, source))
    progress, problems = Progress(f"placing media in {root}", len(jobs)), {}

    def place(batch):
        file, wanted = batch
        archive = zipfile.ZipFile(file) if file else None
        for path, source in wanted:
            target = Path(root) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if archive:
                    with whole(target) as part, archive.open(source.member) as member, open(part, "wb") as out:
                        shutil.copyfileobj(member, out, 1 << 20)
                else:
                    _link(source.path, target)
            except DAMAGED as error:
                problems[path] = (
                    "unreadable",
                    f"{source.path}: member {source.member} cannot be read ({error}); download it again",
                )
            progress.step()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(place, by_file.items()))
    return problems


def _link(source: Path, target: Path) -> None:
    """Make a hard link to a file, or a copy if that fails."""
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        with whole(target) as part:
            shutil.copyfile(source, part)
