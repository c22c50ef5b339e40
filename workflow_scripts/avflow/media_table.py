"""The media table: a probe of every file that questions need, and which questions are dropped because of it, by reason."""

import csv
import os
from dataclasses import asdict, fields
from pathlib import Path

from .cli import Progress
from .errors import InputError
from .media import MediaError, MediaFacts, probe
from .questions import Question

COLUMNS = ("media_id", "path", "status", "questions", "questions_dropped", *(f.name for f in fields(MediaFacts)), "detail")


def keep_usable(questions: list[Question], root, table_path, needs_audio: bool) -> list[Question]:
    """Probe all media under `root`, write the table as tsv, and return the questions whose media are all usable.

    status is "ok" or the reason of `media.MediaError`; questions_dropped counts the questions lost to that file. Raises
    InputError when nothing is left, with the commonest reason.
    """
    users = {}
    for q in questions:
        for m in q.media:
            users.setdefault((m.media_id, m.path, m.kind), []).append(q.question_id)
    progress = Progress(f"probing {Path(table_path).stem}", len(users))
    rows, dropped = [], set()
    for (media_id, path, kind), ids in sorted(users.items()):
        facts, status, detail = MediaFacts(kind), "ok", ""
        try:
            facts = probe(Path(root) / path, kind, needs_audio and kind == "video")
        except MediaError as error:
            status, detail = error.reason, str(error)
            dropped |= set(ids)
        counts = dict(questions=len(ids), questions_dropped=len(ids) if status != "ok" else 0)
        rows.append(dict(media_id=media_id, path=path, status=status, **counts, **asdict(facts), detail=detail))
        progress.step()
    part = f"{table_path}.part"
    with open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, table_path)
    kept = [q for q in questions if q.question_id not in dropped]
    if not kept:
        worst = next((r for r in rows if r["status"] != "ok"), None)
        raise InputError(f"{table_path}: no question is left of {len(questions)}; first reason: {worst and worst['detail']}")
    return kept
