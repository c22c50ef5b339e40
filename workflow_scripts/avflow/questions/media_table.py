"""The media table: a probe of every file that questions need, and which questions are dropped because of it, by reason."""

import csv
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path

from ..cli import Progress
from ..errors import InputError
from ..media import MediaError, MediaFacts, probe
from ..storage import whole
from .drops import Dropped
from .question import MediaItem, Question

COLUMNS = ("media_id", "path", "status", "questions", "questions_dropped", *(f.name for f in fields(MediaFacts)), "detail")
SHORT = 0.5  # seconds by which a clip's sound may end before its pictures
SILENT = 1e-4  # of full scale, root mean square: -80 dB


def keep_usable(questions: list[Question], root, table_path, needs_audio: bool, threads=1, max_seconds=None, problems=None):
    """Probe all media under `root`, write the table as tsv; returns the usable questions and the `Dropped`.

    max_seconds: longer videos are dropped as too_long. problems: path -> (reason, detail) of media that could not be put in
    place. status is "ok" or the reason of `MediaError`; questions_dropped counts the questions lost to that file. Raises
    InputError when nothing is left, with the commonest reason.
    """
    users, problems = {}, problems or {}
    for q in questions:
        for m in q.media:
            users.setdefault((m.media_id, m.path, m.kind), set()).add(q.question_id)
    _check_names(users)
    progress = Progress(f"probing {Path(table_path).stem}", len(users))

    def examine(key):
        _, path, kind = key
        facts, status, detail = MediaFacts(kind), "ok", ""
        try:
            if path in problems:
                raise MediaError(*problems[path])
            facts = probe(Path(root) / path, kind, needs_audio and kind == "video")
            if max_seconds and kind == "video" and facts.seconds > max_seconds:
                raise MediaError("too_long", f"{path}: {facts.seconds:.1f} s are more than max_seconds, {max_seconds}")
        except MediaError as error:
            status, detail = error.reason, str(error)
        progress.step()
        return facts, status, detail

    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(sorted(users), pool.map(examine, sorted(users))))
    _write(found, users, table_path)
    kept, dropped = [], []
    for q in questions:
        mine = [found[m.media_id, m.path, m.kind] for m in q.media]
        bad = next((one for one in mine if one[1] != "ok"), None)
        twins = None if bad else _twins(q, root)
        if bad:
            dropped.append(Dropped(q.question_id, q.task, bad[1], bad[2]))
        elif twins:
            detail = f"{twins[0].path} and {twins[1].path} are the same file, so two options are right or none is"
            dropped.append(Dropped(q.question_id, q.task, "duplicate_media", detail))
        else:
            kept.append(replace(q, flags=tuple(sorted({*q.flags, *(f for one in mine for f in _flags(one[0]))}))))
    if not kept:
        first = dropped[0].detail if dropped else "there was none to begin with"
        raise InputError(f"{table_path}: no question is left of {len(questions)}; first reason: {first}")
    return kept, dropped


def _check_names(users) -> None:
    """Raises InputError where two files would share a media_id, and so each other's features."""
    paths = {}
    for media_id, path, _ in sorted(users):
        if paths.setdefault(media_id, path) != path:
            raise InputError(f"media_id {media_id} names both {paths[media_id]} and {path}; give every file an id of its own")


def _flags(facts: MediaFacts):
    """What is worth knowing about a medium that is used all the same."""
    if facts.audio_channels and facts.loudness < SILENT:
        yield "silent"
    if facts.kind == "video" and facts.audio_channels and facts.audio_seconds < facts.seconds - SHORT:
        yield "audio_short"


def _twins(question: Question, root) -> tuple[MediaItem, MediaItem] | None:
    """Two candidates with the same bytes."""
    candidates, seen = [m for m in question.media if m.role == "candidate"], {}
    sizes = [os.path.getsize(Path(root) / m.path) for m in candidates]
    for item, size in zip(candidates, sizes):
        if sizes.count(size) > 1:
            digest = hashlib.sha256((Path(root) / item.path).read_bytes()).hexdigest()
            if digest in seen:
                return seen[digest], item
            seen[digest] = item
    return None


def _write(found, users, table_path) -> None:
    """The table, sorted by medium."""
    with whole(table_path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for key, (facts, status, detail) in found.items():
            counts = dict(questions=len(users[key]), questions_dropped=len(users[key]) if status != "ok" else 0)
            writer.writerow(dict(media_id=key[0], path=key[1], status=status, **counts, **asdict(facts), detail=detail))
