"""Names that stay apart: of tasks in any script, of questions and of media as they are written into tables and file names."""

import hashlib
import re
import unicodedata
from dataclasses import replace
from pathlib import PurePosixPath

from ..errors import InputError

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
KEPT = "+#"  # besides letters and digits: "C++" and "C#" are two tasks
OTHER_KIND = re.compile(r"\.as_(?:video|image|audio)$")  # ends the media_id of a file that is also used as another kind
KINDS = ("video", "image", "audio")  # the first of a file's kinds keeps the plain media_id


def safe(name) -> str:
    """The name as a safe file name: "_" replaces every character except ASCII letters, digits, "_", "." and "-"."""
    return UNSAFE.sub("_", str(name))


def digest(name) -> str:
    """Eight hexadecimal digits that tell names apart."""
    return hashlib.sha256(str(name).encode("utf-8", "backslashreplace")).hexdigest()[:8]


def safe_ids(names) -> dict:
    """name -> `safe` name, for all ids of a file. A name that would become another one's also gets its `digest`."""
    names = list(dict.fromkeys(map(str, names)))
    users = {}
    for name in names:
        users.setdefault(safe(name), []).append(name)
    alone = lambda name: len(users[safe(name)]) == 1 or safe(name) == name  # noqa: E731
    return {name: safe(name) if alone(name) else f"{safe(name)}-{digest(name)}" for name in names}


def slug(name) -> str:
    """A task's name in one common spelling: "Speech Recognition" -> "speech_recognition".

    Letters, marks and digits of all scripts stay, and so do "+" and "#". Everything else becomes "_".
    """
    letters = unicodedata.normalize("NFC", str(name)).lower()
    return re.sub("_+", "_", "".join(c if unicodedata.category(c)[0] in "LMN" or c in KEPT else "_" for c in letters)).strip("_")


def check_tasks(names, where) -> None:
    """Raises InputError if two names that differ in more than case, blanks and hyphens become one task."""
    first = {}
    for name in dict.fromkeys(names):
        plain = re.sub(r"[\s_\-‐-―]+", " ", unicodedata.normalize("NFC", str(name))).strip().lower()
        other, known = first.setdefault(slug(name), (name, plain))
        if known != plain:
            raise InputError(
                f"{where}: the tasks {other!r} and {name!r} would both be called {slug(name)}; spell them alike, or give them"
                " names that differ in a letter, a digit, + or #"
            )


def file_of(media_id: str) -> str:
    """The media_id of the file itself: without the end that tells its kinds apart."""
    return OTHER_KIND.sub("", media_id)


def apart(questions: list) -> list:
    """The questions with a media_id of its own for every file, and for every kind that a file is used as.

    A media_id that names one file stays. Those of several files get the file's ending ("dog" -> "dog.png", "dog.wav") and, where
    that is not enough, the `digest` of the path. A file that is used as several kinds keeps its media_id as the first of `KINDS`;
    as another it ends in .as_audio, for example. So the order of the questions does not matter.
    """
    kinds, paths = {}, {}
    for q in questions:
        for m in q.media:
            kinds.setdefault((m.media_id, m.path), set()).add(m.kind)
            paths.setdefault(m.media_id, set()).add(m.path)
    ending = lambda key: f"{key[0]}{safe(PurePosixPath(key[1]).suffix)}" if len(paths[key[0]]) > 1 else key[0]  # noqa: E731
    users = {}
    for key in kinds:
        users.setdefault(ending(key), []).append(key)
    named = lambda key: ending(key) if len(users[ending(key)]) == 1 else f"{ending(key)}-{digest(key[1])}"  # noqa: E731
    names = {}
    for key, found in kinds.items():
        plain = min(found, key=lambda kind: KINDS.index(kind) if kind in KINDS else len(KINDS))
        names |= {(*key, kind): named(key) if kind == plain else f"{named(key)}.as_{kind}" for kind in found}
    if all(new == key[0] for key, new in names.items()):
        return questions
    rename = lambda m: replace(m, media_id=names[m.media_id, m.path, m.kind])  # noqa: E731
    return [replace(q, media=tuple(map(rename, q.media))) for q in questions]
