"""AV-Odyssey (arXiv 2412.02611): questions with inline media tags, and 26 GB of parquet that hold their pictures and sounds.

Row groups are few and large: one column of one group can be a gigabyte. So the reader loads the texts first. Then it reads the
media of the selected questions, one column and a few rows at a time. It writes each medium to disk under the hash of its bytes,
so a medium that occurs several times is one file. The hub also has an edition with paths instead of bytes, and media as files or
in archives. This module reads that one, too.
"""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from ..cli import Progress
from ..errors import InputError, Unusable
from ..hub import Shipped
from ..storage import whole
from .benchmark_rows import LETTERED, direction_of, items_question
from .names import safe_ids
from .preparation import Intake, require_columns
from .tags import KINDS, TAG
from .texts import check_text, shown

TEXT = ("question_id", "question_type_id", "question", "options", "answer")
PATHS = ("image_path", "audio_path")
ROWS = 4  # rows of a media column that are decoded at a time
TASKS = {
    1: "instrument", 2: "singer", 3: "gunshot", 4: "bird", 5: "animal", 6: "transportation", 7: "material", 8: "scene",
    9: "hazard", 10: "action", 11: "eating", 12: "speech_sentiment", 13: "meme", 14: "music_sentiment", 15: "genre",
    16: "dance_and_music", 17: "film_and_music", 18: "music_score", 19: "angle_3d", 20: "distance_3d", 21: "audio_time",
    22: "synchronisation", 23: "action_sequencing", 24: "hallucination", 25: "action_prediction", 26: "action_tracing",
}  # fmt: skip
SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".wav", b"ID3": ".mp3", b"\xff\xfb": ".mp3", b"fLaC": ".flac"}


def collect(intake: Intake) -> None:
    """Take in the matching questions of the selected tasks. Raises InputError if a file, a column or a task is missing."""
    folder = intake.arguments.folder
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise InputError(f"{folder}: no parquet file found; download the dataset again")
    rows = [row for path in files for row in _texts(path)]
    ids = safe_ids(row["question_id"] for row in rows)
    rows = [{**row, "question_id": ids[str(row["question_id"])]} for row in rows]
    rows = [row for row in intake.rows(rows, "task_name", files[0]) if _matching(row, intake)]
    if rows and set(PATHS) <= rows[0].keys():
        shipped = Shipped(folder)
        for row in rows:
            intake.take(row, lambda row: _question(row, _named(row, shipped, intake), intake))
    else:
        media = _extract(rows, intake.arguments.root)
        for row in rows:
            intake.take(row, lambda row: _question(row, media, intake))


def _texts(path: Path) -> list[dict]:
    """The rows of one file without their media. Each row also gets `file` and its row number in the file, `number`."""
    table = pq.ParquetFile(path)
    names = table.schema_arrow.names
    require_columns(path, [dict.fromkeys(names)], TEXT)
    rows = table.read(columns=[*TEXT, *(p for p in PATHS if p in names)]).to_pylist()
    for number, row in enumerate(rows):
        kind = row["question_type_id"]
        known = TASKS.get(int(kind)) if str(kind).strip().isdecimal() else None
        row.update(task_name=known or (None if kind is None else f"task_{kind}"), file=path, number=number)
    return rows


def _matching(row: dict, intake: Intake) -> bool:
    """Whether the tags name one reference and four candidates. If not, the question is dropped."""
    try:
        check_text(row["question"], f"question {intake.prefix}__{row['question_id']}: its question")
        tags = [KINDS[tag] for tag, _ in set(TAG.findall(row["question"]))]
        direction_of(
            f"{intake.prefix}__{row['question_id']}", {kind: tags.count(kind) for kind in KINDS.values() if kind in tags}
        )
    except Unusable as error:
        intake.drop(row["question_id"], row["task"], error.reason, str(error))
        return False
    return True


def _question(row: dict, media: dict, intake: Intake):
    """The question of a row. media: (question_id, kind, number) -> path. Raises Unusable if a medium is null."""
    paths = {"image": [], "audio": []}
    for tag, number in sorted(set(TAG.findall(row["question"])), key=lambda found: int(found[1])):
        path = media.get((row["question_id"], KINDS[tag], int(number)))
        if path is None:
            raise Unusable("null_media", f"{row['question_id']}: [{tag}{number}] is named in the question but null in the file")
        paths[KINDS[tag]].append(path)
    texts = intake.arguments
    shaped = {
        **row,
        "options": _lettered(row["options"]),
        "answer": str(row["answer"]).strip().upper(),
        "image_path": paths["image"],
        "audio_path": paths["audio"],
        "needs": "AV",
    }
    return items_question(shaped, texts.dataset, texts.instruction, texts.option_format, texts.layout or "original")


def _lettered(options) -> list[str]:
    """Options with their letters. One edition ships the letters; for the other they are added here."""
    if not isinstance(options, list) or not all(isinstance(o, str) for o in options):
        raise Unusable("bad_options", f"options {shown(options)} are not a list of texts")
    if any(LETTERED.fullmatch(o.strip()) for o in options):
        return options
    return [f"{letter}. {option}" for letter, option in zip("ABCDEFGH", options)]


def _named(row: dict, shipped: Shipped, intake: Intake) -> dict:
    """(question_id, kind, number) -> path, for the edition that ships media as files."""
    found = {}
    for column in PATHS:
        for number, path in enumerate(row[column] or [], 1):
            found[row["question_id"], column.removesuffix("_path"), number] = intake.place(shipped, path)
    return found


def _extract(rows: list[dict], root: Path) -> dict:
    """Write the media of these rows under `root`/media. Returns (question_id, kind, number) -> path."""
    (root / "media").mkdir(parents=True, exist_ok=True)
    wanted = {}  # file -> column -> row number -> question id
    for row in rows:
        for tag, number in set(TAG.findall(row["question"])):
            column = wanted.setdefault(row["file"], {}).setdefault((KINDS[tag], int(number)), {})
            column[row["number"]] = row["question_id"]
    found = {}
    progress = Progress(f"writing media of {len(rows)} questions", sum(map(len, wanted.values())))
    for path, columns in wanted.items():
        table = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        names = table.schema_arrow.names
        require_columns(path, [dict.fromkeys(names)], [f"{kind}_{number}" for kind, number in columns])
        for (kind, number), ids in columns.items():
            for place, medium in _cells(table, f"{kind}_{number}", ids):
                found[ids[place], kind, number] = _write(medium, root)
            progress.step()
    return found


def _cells(table: pq.ParquetFile, column: str, places):
    """Yield (row number, bytes) for the wanted cells of a column, except null ones. Skips row groups without a wanted cell."""
    first = 0
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        if any(first <= place < first + count for place in places):
            start = first
            for batch in table.iter_batches(ROWS, row_groups=[group], columns=[column], use_threads=False):
                for i in range(len(batch)):
                    if start + i in places and batch.column(0)[i].is_valid:
                        value = batch.column(0)[i].as_py()
                        value = value["bytes"] if isinstance(value, dict) else value
                        if value:
                            yield start + i, value
                start += len(batch)
        first += count


def _write(medium: bytes, root: Path) -> str:
    """Write a medium under the hash of its bytes, unless that file exists. Returns its path under the root."""
    suffix = next((s for magic, s in SUFFIXES.items() if medium.startswith(magic)), ".bin")  # for people; readers ignore it
    path = f"media/{hashlib.sha256(medium).hexdigest()[:16]}{suffix}"
    if not (root / path).exists():
        with whole(root / path) as part:
            part.write_bytes(medium)
    return path
