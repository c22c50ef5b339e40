"""Which shards of your own dataset a change of its media concerns, known before any job runs.

Snakemake runs every job below a job that runs. So a medium that changed would bring back all shards of its dataset. `prepare`
therefore leaves a snapshot beside the media table: what it was told, and each medium with its digest. The rules compare it with
the files of today. Jobs of shards that no change concerns then take what prepare makes as `ancient`, for this call only. Should
the outcome be another than foreseen, the content of the files shows it to the next call.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..storage import provenance, whole
from .question import read_questions, shard_of, to_json


@dataclass(frozen=True)
class Medium:
    """A medium as prepare found it. state: its `provenance.file_state`, or None. sha256: "" without a file.

    clusters: those of all questions that use it, also of those that were dropped for it.
    """

    path: str
    clusters: list[str]
    state: list[int] | None
    sha256: str
    status: str


@dataclass(frozen=True)
class Concerned:
    """The shards whose media changed, and those whose questions may: all of them if a question may be dropped or come back."""

    media: frozenset[int]
    questions: frozenset[int]
    shards: int
    foreseen: list[str]  # the questions' ids in those shards, and whole lines elsewhere

    def surprised(self, questions_file) -> bool:
        """Whether prepare made other questions than foreseen: a changed file can, or can no longer, be used."""
        return len(self.questions) < self.shards and _outline(questions_file, self.questions, self.shards) != self.foreseen


def snapshot(table_path) -> Path:
    return Path(f"{table_path}.seen")


def remember(table_path, told: str, media: list[Medium]) -> None:
    """Leave a snapshot. told: a digest of the files, and of all else that decides what prepare makes, as JSON."""
    with whole(snapshot(table_path)) as part:
        part.write_text(json.dumps({"told": told, "media": [list(vars(m).values()) for m in media]}), encoding="utf-8")


def _outline(questions_file, shards, count: int) -> list[str]:
    return [q.question_id if q.shard(count) in shards else to_json(q) for q in read_questions(questions_file)]


def concerned(table_path, told: str, root, count: int, questions_file) -> Concerned | None:
    """What the media of today concern. None if that is not known, or if prepare runs for another reason or not at all.

    told: as for `remember`. root: the media folder. count: the number of shards. questions_file: the questions as prepare made
    them.
    """
    try:
        before = json.loads(snapshot(table_path).read_text(encoding="utf-8"))
        was, now = json.loads(before["told"]), json.loads(told)
        if was == now or was["plan"] != now["plan"]:
            return None
        changed = [m for m in (Medium(*values) for values in before["media"]) if _changed(m, Path(root) / m.path)]
        shards = frozenset(shard_of(cluster, count) for medium in changed for cluster in medium.clusters)
        dropped = any(m.status != "ok" or not (Path(root) / m.path).is_file() for m in changed)
        asked = frozenset(range(count)) if dropped else shards
        return Concerned(shards, asked, count, _outline(questions_file, asked, count))
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None


def _changed(medium: Medium, path: Path) -> bool:
    """Whether a file has other bytes than prepare found."""
    try:
        state = provenance.file_state(path)
        if state == medium.state:
            return False
        return medium.state is None or state[0] != medium.state[0] or provenance.file_hash(path) != medium.sha256
    except OSError:
        return bool(medium.sha256)
