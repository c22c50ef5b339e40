"""Which media each shard decodes: one JSON object per line, a `ListedMedium`, sorted by media_id.

A line says how much else stands in a prompt beside the medium, because a clip is sampled so that its longest prompt fits.
"""

import csv
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import InputError
from ..storage import whole
from .question import Question, read_questions

STEP = 256  # bytes to which `text` is rounded up, so that few edits of a question change the list


@dataclass(frozen=True)
class ListedMedium:
    """A medium of a shard. path: from the media folder. sha256: of the bytes that were probed, in hexadecimal; "" if unknown.

    text: bytes of text in the longest question about it, rounded up to `STEP`. media: the most media in such a question.
    """

    media_id: str
    path: str
    kind: str
    sha256: str
    text: int = 0
    media: int = 1


def text_bytes(question: Question) -> int:
    """Bytes of a question's text in a prompt, at most: of its segments and its written options, or of its free answer.

    A token has at least one byte.
    """
    form = next((s for s in question.layout if s["seg"] == "options"), {}).get("format", "{label}. {text}")
    written = [question.answer or ""] if question.free else [form.format(label=o.label, text=o.text) for o in question.options]
    return sum(len(text.encode()) + 1 for text in [*written, *(s["text"] for s in question.layout if "text" in s)])


def listed(questions: list[Question]) -> list[ListedMedium]:
    """The media of questions, without their digests, sorted by media_id."""
    found = {}
    for question in questions:
        text, media = -(-text_bytes(question) // STEP) * STEP, len(question.media)
        for m in question.media:
            known = found.get(m.media_id, ListedMedium(m.media_id, m.path, m.kind, ""))
            found[m.media_id] = replace(known, text=max(text, known.text), media=max(media, known.media))
    return [found[name] for name in sorted(found)]


def write_lists(questions_file, media_table, out: list) -> None:
    """Write the list of every shard; `out` holds one path per shard. A shard without questions gets an empty list.

    Raises InputError if the table lacks a medium of the questions, or its digest.
    """
    with open(media_table, newline="", encoding="utf-8") as file:
        digests = {(row["media_id"], row["kind"]): row.get("sha256") for row in csv.DictReader(file, delimiter="\t")}
    of_shard = [[] for _ in out]
    for question in read_questions(questions_file):
        of_shard[question.shard(len(out))].append(question)
    for path, questions in zip(out, of_shard):
        media = listed(questions)
        for m in media:
            if not digests.get((m.media_id, m.kind)):
                raise InputError(f"{media_table}: it has no sha256 of {m.media_id}; delete this file and run again")
        with whole(path) as part:
            rows = (asdict(replace(m, sha256=digests[m.media_id, m.kind])) for m in media)
            part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_list(path) -> list[ListedMedium]:
    """Read one shard's list. Raises InputError if a line is not of this form."""
    try:
        return [ListedMedium(**json.loads(line)) for line in Path(path).read_text(encoding="utf-8").split("\n") if line]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a list of media ({error}); delete it and run again") from None
