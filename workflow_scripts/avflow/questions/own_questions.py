"""Your own questions: JSON Lines in the format of `question`. You write only what has no default.

A line needs question_id, task, question, options, answer and media.

* An option is a text, or an object with the key text. In the setting items the object also needs candidate, the id of a medium.
* A medium needs path and kind. In the setting items a reference needs its role; the default role is candidate.
* Defaults: labels A, B, ..; ids in order; media_id from the path; group from the task; the layout of Eq. 1 or Eq. 3.
"""

import json
from pathlib import Path, PurePosixPath

from ..errors import InputError
from .benchmark_rows import options_segment, safe
from .layouts import NAMES
from .preparation import Intake
from .question import MediaItem, Option, Question

REQUIRED = {"question_id", "task", "question", "options", "answer", "media"}
OPTIONAL = {"group", "needs", "layout", "layout_name", "question_raw", "flags"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def collect(intake: Intake) -> None:
    """Take in the questions of --questions-file. Raises InputError that names the line if a line is not in this format."""
    path = intake.arguments.questions_file
    rows = [_row(line, f"{path}, line {n}") for n, line in enumerate(_lines(path), 1) if line.strip()]
    for row in intake.rows(rows, "task", path):
        intake.take(row, lambda row: _question(row, intake))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; questions_file in config.yaml must name a file of JSON Lines") from None


def _row(line: str, where: str) -> dict:
    """The object of a line. Raises InputError if its keys, or those of its media or options, are wrong."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({error}); write one object per line") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: found {type(row).__name__} instead of an object; write one object per line")
    _check_keys(where, "the question", row, REQUIRED, OPTIONAL)
    for name, required, optional in (
        ("media", {"path", "kind"}, {"id", "media_id", "role", "index"}),
        ("options", {"text"}, {"label", "candidate"}),
    ):
        if not isinstance(row[name], list):
            raise InputError(f"{where}: {name} is not a list; write a list")
        if name == "options":
            row[name] = [{"text": o} if isinstance(o, str) else o for o in row[name]]
        for entry in row[name]:
            _check_keys(where, f"an entry of {name}", entry, required, optional)
    return {**row, "where": where, "group": row.get("group")}


def _check_keys(where, what, entry, required: set, optional: set) -> None:
    """Raises InputError for the first key that is missing or unknown."""
    found = set(entry) if isinstance(entry, dict) else set()
    for key in sorted(required - found):
        raise InputError(f"{where}: {what} has no {key}; needed: {', '.join(sorted(required))}")
    for key in sorted(found - required - optional):
        raise InputError(f"{where}: {what} has a key {key!r}; known: {', '.join(sorted(required | optional))}")


def _question(row: dict, intake: Intake) -> Question:
    """The question with its defaults filled in. Raises Unusable, or InputError for an unknown role or a reserved layout_name."""
    arguments, where = intake.arguments, row["where"]
    items = _media(row["media"], arguments.setting, intake.prefix, where)
    options = tuple(Option(o.get("label", letter), o["text"], o.get("candidate")) for o, letter in zip(row["options"], LETTERS))
    name = row.get("layout_name") or (
        "own" if "layout" in row else {"av_video": "paper_eq1", "items": "paper_eq3"}[arguments.setting]
    )
    if name in NAMES:
        raise InputError(f"{where}: layout_name {name!r} is the name of a built-in order; choose another name")
    return Question(
        question_id=f"{intake.prefix}__{row['question_id']}",
        dataset=arguments.dataset,
        setting=arguments.setting,
        layout_name=name,
        task=row["task"],
        group=row["group"],
        needs=row.get("needs", "unknown"),
        question=row["question"],
        options=options,
        answer=row["answer"],
        media=items,
        layout=tuple(row.get("layout") or _layout(row["question"], items, arguments)),
        correct_candidate=next((o.candidate for o in options if o.label == row["answer"]), None),
        flags=tuple(row.get("flags", ())),
        question_raw=row.get("question_raw", ""),
    )


def _media(entries: list[dict], setting: str, prefix: str, where: str) -> tuple[MediaItem, ...]:
    """The media, by default with ids v1, or c1, c2, .. and r1, numbered within each role. Raises InputError for unknown roles."""
    short, counts, made = {"video": "v", "candidate": "c", "reference": "r"}, {}, []
    for entry in entries:
        role = entry.get("role", "video" if setting == "av_video" else "candidate")
        if role not in short:
            raise InputError(f"{where}: role {role!r} of {entry['path']} is unknown; known: {', '.join(short)}")
        counts[role] = counts.get(role, 0) + 1
        path = entry["path"]
        media_id = entry.get("media_id", safe(PurePosixPath(path).with_suffix("")))
        made.append(
            MediaItem(
                entry.get("id", f"{short[role]}{counts[role]}"),
                f"{prefix}__{media_id}",
                entry["kind"],
                role,
                path,
                entry.get("index", counts[role]),
            )
        )
    return tuple(made)


def _layout(question: str, items, arguments) -> list[dict]:
    """Eq. 1: media, instruction, question, options, ending. Eq. 3: candidates, question, reference, options, instruction."""
    place = lambda role: [{"seg": "media", "id": m.id} for m in items if m.role == role]  # noqa: E731
    say = lambda text: [{"seg": "instruction", "text": text}] if text else []  # noqa: E731
    asked, options = {"seg": "question", "text": question}, options_segment(arguments.option_format)
    if arguments.setting == "av_video":
        return [*place("video"), *say(arguments.instruction), asked, options, *say(arguments.ending)]
    return [*place("candidate"), asked, *place("reference"), options, *say(arguments.instruction)]
