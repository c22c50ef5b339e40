"""The media table: what probing found in every media file. Questions with an unusable file are dropped, with the reason."""

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path

from ..cli import Progress
from ..errors import InputError
from ..media import MediaError, MediaFacts, probe
from ..storage import whole
from .drops import Dropped
from .probe_record import ProbeRecord
from .question import MediaItem, Question
from .replanning import Medium, remember

COLUMNS = (
    "media_id",
    "path",
    "status",
    "questions",
    "questions_dropped",
    *(f.name for f in fields(MediaFacts)),
    "sha256",
    "detail",
)
SHORT = 0.5  # a clip's sound may end this many seconds before its pictures
SILENT = 1e-4  # root mean square, as a share of full scale: -80 dB


def keep_usable(questions, root, table_path, needs_audio: bool, threads=1, max_seconds=None, problems=None, told="", **decoding):
    """Probe all media under `root` and write the table as tsv. Returns the usable questions and the `Dropped` ones.

    Files that an earlier run probed, and that have not changed since, are not decoded again (`probe_record`).

    max_seconds: questions with a longer video are dropped as too_long. problems: path -> (reason, detail), for media that could
    not be copied into place. told: leave a snapshot for `replanning`. decoding: `reader` and `largest` of `probe`. The column
    status is "ok" or the reason of the `MediaError`; questions_dropped counts the questions that use a file that is not ok.
    Raises InputError with the first reason if no question is left.
    """
    users, problems = {}, problems or {}
    for q in questions:
        for m in q.media:
            users.setdefault((m.media_id, m.path, m.kind), set()).add(q.question_id)
    _check_names(users)
    progress = Progress(f"probing {Path(table_path).stem}", len(users))

    def examine(key):
        _, path, kind = key
        facts, digest, state, status, detail = MediaFacts(kind), "", None, "ok", ""
        try:
            if path in problems:
                raise MediaError(*problems[path])
            how = dict(kind=kind, needs_audio=needs_audio and kind == "video", **decoding)
            found, digest, state = record.probe(Path(root) / path, how, lambda: probe(Path(root) / path, **how))
            if isinstance(found, MediaError):
                raise found
            facts = found
            if max_seconds and kind == "video" and facts.seconds > max_seconds:
                raise MediaError("too_long", f"{path}: lasts {facts.seconds:.1f} s, more than max_seconds ({max_seconds})")
        except MediaError as error:
            status, detail = error.reason, str(error)
        progress.step()
        return facts, status, detail, digest, state

    with ProbeRecord(table_path) as record, ThreadPoolExecutor(threads) as pool:
        found = dict(zip(sorted(users), pool.map(examine, sorted(users))))
    _write(found, users, table_path)
    if told:
        clusters = {q.question_id: q.cluster for q in questions}
        of = lambda key: sorted({clusters[name] for name in users[key]})  # noqa: E731
        remember(
            table_path, told, [Medium(k[1], of(k), state, digest, status) for k, (_, status, _, digest, state) in found.items()]
        )
    kept, dropped = [], []
    for q in questions:
        mine = [found[m.media_id, m.path, m.kind] for m in q.media]
        bad = next((one for one in mine if one[1] != "ok"), None)
        twins = None if bad else _twins(q, found)
        if bad:
            dropped.append(Dropped(q.question_id, q.task, bad[1], bad[2]))
        elif twins:
            detail = f"{twins[0].path} and {twins[1].path} are the same file, so their options are both right or both wrong"
            dropped.append(Dropped(q.question_id, q.task, "duplicate_media", detail))
        else:
            kept.append(replace(q, flags=tuple(sorted({*q.flags, *(f for one in mine for f in _flags(one[0]))}))))
    if not kept:
        first = dropped[0].detail if dropped else "the dataset has none"
        raise InputError(f"{table_path}: none of {len(questions)} questions is usable; first reason: {first}")
    return kept, dropped


def _check_names(users) -> None:
    """Raises InputError if two files, or two kinds of a file, have the same media_id: one would get the features of the other."""
    found = {}
    for media_id, path, kind in sorted(users):
        other = found.setdefault(media_id, (path, kind))
        if other != (path, kind):
            raise InputError(
                f"media_id {media_id} names both {other[0]} ({other[1]}) and {path} ({kind}); give one of them another key"
                " media_id in the questions, or rename a file"
            )


def _flags(facts: MediaFacts):
    """Yield the flags of a usable medium: "silent", "audio_short"."""
    if facts.audio_channels and facts.loudness < SILENT:
        yield "silent"
    if facts.kind == "video" and facts.audio_channels and facts.audio_seconds < facts.seconds - SHORT:
        yield "audio_short"


def _twins(question: Question, found) -> tuple[MediaItem, MediaItem] | None:
    """The first two candidates with the same bytes, or None."""
    seen = {}
    for item in (m for m in question.media if m.role == "candidate"):
        digest = found[item.media_id, item.path, item.kind][3]
        if digest in seen:
            return seen[digest], item
        seen[digest] = item
    return None


def _write(found, users, table_path) -> None:
    """Write the table, sorted by medium."""
    with whole(table_path) as part, open(part, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for key, (facts, status, detail, digest, _) in found.items():
            counts = dict(questions=len(users[key]), questions_dropped=len(users[key]) if status != "ok" else 0)
            named = dict(media_id=key[0], path=key[1], status=status, sha256=digest, detail=detail)
            writer.writerow({**named, **counts, **asdict(facts)})
