"""Which media each shard decodes: one JSON object per line, with media_id, path, kind and sha256, sorted by media_id."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import InputError
from ..storage import whole
from .question import Question, read_questions


@dataclass(frozen=True)
class ListedMedium:
    """A medium of a shard. path: from the media folder. sha256: of the bytes that were probed, in hexadecimal; "" if unknown."""

    media_id: str
    path: str
    kind: str
    sha256: str


def listed(questions: list[Question]) -> list[ListedMedium]:
    """The media of questions, without their digests."""
    return [ListedMedium(m.media_id, m.path, m.kind, "") for q in questions for m in q.media]


def write_lists(questions_file, media_table, out: list) -> None:
    """Write the list of every shard; `out` holds one path per shard. A shard without questions gets an empty list.

    Raises InputError if the table lacks a medium of the questions, or its digest.
    """
    with open(media_table, newline="", encoding="utf-8") as file:
        digests = {(row["media_id"], row["kind"]): row.get("sha256") for row in csv.DictReader(file, delimiter="\t")}
    found = [{} for _ in out]
    for question in read_questions(questions_file):
        for m in question.media:
            digest = digests.get((m.media_id, m.kind))
            if not digest:
                raise InputError(f"{media_table}: it has no sha256 of {m.media_id}; delete this file and run again")
            found[question.shard(len(out))][m.media_id] = ListedMedium(m.media_id, m.path, m.kind, digest)
    for path, media in zip(out, found):
        with whole(path) as part:
            lines = [json.dumps(asdict(media[name]), ensure_ascii=False) + "\n" for name in sorted(media)]
            part.write_text("".join(lines), encoding="utf-8")


def read_list(path) -> list[ListedMedium]:
    """Read one shard's list. Raises InputError if a line is not of this form."""
    try:
        return [ListedMedium(**json.loads(line)) for line in Path(path).read_text(encoding="utf-8").split("\n") if line]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a list of media ({error}); delete it and run again") from None
