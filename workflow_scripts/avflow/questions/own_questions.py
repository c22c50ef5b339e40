"""Your own questions: JSON Lines in the format of `question`. You write only what has no default.

A line needs question_id, task, question and media, and either options and answer, or neither options nor an answer.

* Without options the question is free: `answer` is then a text to score. Without an answer the model's own reply is scored.
* An option is a text, or an object with the key text. In the setting items the object also needs candidate, the id of a medium.
* A medium needs path and kind. In the setting items a reference needs its role; the default role is candidate.
* Defaults: labels from the options' texts ("A. hiss"), else A, B, ..; ids in order; media_id from the path; group from the task.
* `events` say when, and where in the picture, the answer lies; see `question`.
* In the setting items, tags such as [audio1] in the question, or in question_raw, say where its media stand. Without tags, and
  for clips, the layout is that of Eq. 3 or Eq. 1.
"""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import InputError, Unusable
from ..storage import lines_of
from . import layouts
from .benchmark_rows import options_segment
from .names import safe
from .option_labels import answer_of, split_labels
from .preparation import Intake
from .question import MediaItem, Option, Question
from .tags import TAG
from .texts import check_text, shown

REQUIRED = {"question_id", "task", "question", "media"}
OPTIONS = {"options", "answer"}  # a question has both, or is free
OPTIONAL = {"group", "needs", "layout", "layout_name", "question_raw", "flags", "events"}


def collect(intake: Intake) -> None:
    """Take in the questions of --questions-file. Raises InputError that names the line if a line is not in this format.

    A question whose values are faulty is dropped with the reason. If its id is faulty, it is called by its line.
    """
    path = intake.arguments.questions_file
    rows, lines = [_parsed(line, n, path) for n, line in enumerate(_lines(path), 1) if line.strip()], {}
    for row in rows:
        first = lines.setdefault(row["question_id"], row["where"])
        if first != row["where"]:
            raise InputError(f"{row['where']}: question_id {row['question_id']} occurs in {first}, too; give each its own")
    for row in intake.rows(rows, "task", path):
        intake.take(row, lambda row: question_of(row, intake.arguments, intake.prefix))


def _lines(path: Path) -> list[str]:
    try:
        return lines_of(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; questions_file in config.yaml must name a file of JSON Lines") from None


def _parsed(line: str, number: int, path) -> dict:
    """The object of a line. Raises InputError if its keys, or those of its media or options, are wrong."""
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); write one object per line") from None
    return checked(row, where, f"line_{number}")


def checked(row, where: str, unnamed: str) -> dict:
    """The row of one question with its defaults for `question_of`. where: how errors name it. unnamed: its id if it has none.

    Raises InputError if its keys, or those of its media or options, are wrong.
    """
    if not isinstance(row, dict):
        raise InputError(f"{where}: found {type(row).__name__} instead of an object; write one object per line")
    chosen = "options" in row
    _check_keys(where, "the question", row, REQUIRED | (OPTIONS if chosen else set()), OPTIONAL | OPTIONS)
    for name, required, optional in (
        ("media", {"path", "kind"}, {"id", "media_id", "role", "index"}),
        *([("options", {"text"}, {"label", "candidate"})] if chosen else []),
    ):
        if not isinstance(row[name], list):
            raise InputError(f"{where}: {name} is not a list; write a list")
        if name == "options":
            row[name] = [o if isinstance(o, dict) else {"text": o} for o in row[name]]
        for entry in row[name]:
            _check_keys(where, f"an entry of {name}", entry, required, optional)
    given = row["question_id"]
    named = isinstance(given, str) and given.strip() or isinstance(given, int) and not isinstance(given, bool)
    about = {"where": where, "group": row.get("group"), "id_given": given}
    return {**row, **about, "question_id": str(given) if named else unnamed, "named": named}


def _check_keys(where, what, entry, required: set, optional: set) -> None:
    """Raises InputError for the first key that is missing or unknown."""
    found = set(entry) if isinstance(entry, dict) else set()
    for key in sorted(required - found):
        raise InputError(f"{where}: {what} has no {key}; needed: {', '.join(sorted(required))}")
    for key in sorted(found - required - optional):
        raise InputError(f"{where}: {what} has a key {key!r}; known: {', '.join(sorted(required | optional))}")


def question_of(row: dict, arguments, prefix: str) -> Question:
    """The question of a `checked` row. prefix: of ids.

    arguments: dataset, setting, layout, instruction, ending and option_format, as the options of prepare.py.

    Raises Unusable, or InputError for an unknown role or a reserved layout_name.
    """
    where = row["where"]
    if not row["named"]:
        raise Unusable("bad_text", f"{where}: question_id is {shown(row['id_given'])}; write a text of letters and digits")
    items = _media(row["media"], arguments.setting, prefix, where)
    check_text(row["question"], f"{where}: question")
    options, answer = _options(row) if "options" in row else ((), row.get("answer"))
    if not options and answer is not None:
        check_text(answer, f"{where}: answer (leave it out, and the model's own reply is scored)")
    raw, words = check_text(row.get("question_raw", ""), f"{where}: question_raw", blank=True), row["question"]
    if arguments.setting == "items" and TAG.search(words):
        raw, words = words, layouts.sentence(words, items)
    tagged = arguments.setting == "items" and TAG.search(raw) is not None
    parts = layouts.as_shipped(raw, items, where) if tagged else None
    name = row.get("layout_name") or ("own" if "layout" in row else _default_name(arguments.setting, tagged))
    if name in layouts.NAMES:
        raise InputError(f"{where}: layout_name {name!r} is the name of a built-in order; choose another name")
    question = Question(
        question_id=f"{prefix}__{row['question_id']}",
        dataset=arguments.dataset,
        setting=arguments.setting,
        layout_name=name,
        task=row["task"],
        group=row["group"],
        needs=row.get("needs", "unknown"),
        question=words,
        options=options,
        answer=answer,
        media=items,
        layout=_listed(row, "layout") or tuple(_layout(words, items, arguments, parts, bool(options))),
        correct_candidate=next((o.candidate for o in options if o.label == answer), None),
        flags=_listed(row, "flags"),
        question_raw=raw,
        events=_listed(row, "events"),
    )
    if "layout" in row or not tagged or arguments.layout != "eq3":
        return question
    return replace(layouts.arrange(question, "eq3"), layout_name=row.get("layout_name") or layouts.PREPARED["eq3"])


def _default_name(setting: str, tagged: bool) -> str:
    """The name of the order in which a question is asked that brings no layout of its own."""
    return "paper_eq1" if setting == "av_video" else layouts.PREPARED["original" if tagged else "eq3"]


def _listed(row: dict, key: str) -> tuple:
    """A list of the row as a tuple, empty if it is left out. Raises Unusable for anything else."""
    if not isinstance(row.get(key, []), list):
        raise Unusable("invalid", f"{row['where']}: {key} is {shown(row[key])}; write a list")
    return tuple(row.get(key, ()))


def _options(row: dict) -> tuple[tuple[Option, ...], str]:
    """The options with their labels, and the label of the right one. Raises Unusable."""
    where, given = row["where"], row["options"]
    for number, option in enumerate(given, 1):
        check_text(option["text"], f"{where}: option {number}")
    labels = [option.get("label") for option in given]
    pairs = split_labels([option["text"] for option in given], labels, where)
    sure = any(labels) or any(text != option["text"] for (_, text), option in zip(pairs, given))
    options = tuple(Option(label, text, option.get("candidate")) for (label, text), option in zip(pairs, given))
    return options, answer_of(row["answer"], pairs, where, sure)


def _media(entries: list[dict], setting: str, prefix: str, where: str) -> tuple[MediaItem, ...]:
    """The media, by default with ids v1, or c1, c2, .. and r1, numbered within each role. Raises InputError for unknown roles."""
    short, counts, made = {"video": "v", "candidate": "c", "reference": "r"}, {}, []
    for entry in entries:
        path = check_text(entry["path"], f"{where}: path of a medium")
        role = entry.get("role", "video" if setting == "av_video" else "candidate")
        if not isinstance(role, str) or role not in short:
            raise InputError(f"{where}: role {role!r} of {path} is unknown; known: {', '.join(short)}")
        counts[role] = counts.get(role, 0) + 1
        path = str(PurePosixPath(path))
        media_id = entry.get("media_id", safe(PurePosixPath(path).with_suffix("")))
        id = entry.get("id", f"{short[role]}{counts[role]}")
        made.append(MediaItem(id, f"{prefix}__{media_id}", entry["kind"], role, path, entry.get("index", counts[role])))
    return tuple(made)


def _layout(question: str, items, arguments, shown, chosen: bool) -> list[dict]:
    """Eq. 1: media, instruction, question, options, ending. Eq. 3: candidates, question, reference, options, instruction.

    shown: the question as segments, with its media where its tags stand; they take the place of candidates to reference. chosen:
    whether there are options.
    """
    place = lambda role: [{"seg": "media", "id": m.id} for m in items if m.role == role]  # noqa: E731
    say = lambda text: [{"seg": "instruction", "text": text}] if text else []  # noqa: E731
    ending = [] if arguments.ending is None else [{"seg": "instruction", "text": arguments.ending}]
    asked, options = {"seg": "question", "text": question}, [options_segment(arguments.option_format)] if chosen else []
    if arguments.setting == "av_video":
        return [*place("video"), *say(arguments.instruction), asked, *options, *ending]
    return [*(shown or [*place("candidate"), asked, *place("reference")]), *options, *say(arguments.instruction)]
