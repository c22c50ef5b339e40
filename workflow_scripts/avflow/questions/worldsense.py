"""WorldSense (arXiv 2502.04326): questions in a json file or a parquet file; videos with sound in zip archives.

Two repositories are supported. The authors' one has `worldsense_qa.json` ({video: {"task0": {..}, ..}}). The mirror has a parquet
file with one row per question. Some questions have three options.
"""

import json
from pathlib import Path

import pyarrow.parquet as pq

from ..errors import InputError
from ..hub import Shipped
from ..storage import read_text
from .names import safe_ids
from .preparation import Intake, find_one, require_columns

COLUMNS = ("index", "video", "task_type", "question", "candidates", "answer")
ARCHIVES = "*video*.zip"  # other archives hold sound tracks and subtitles
FIELDS = ("task_type", "question", "candidates", "answer")


def _from_json(path: Path) -> list[dict]:
    """One row per question, from the authors' json file."""
    try:
        videos = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); delete it and download it again") from None
    if not isinstance(videos, dict) or not all(isinstance(entry, dict) for entry in videos.values()):
        raise InputError(f"{path}: not a JSON object of videos and their tasks; delete it and download it again")
    rows = []
    for video, entry in videos.items():
        for name, task in entry.items():
            if name.startswith("task") and isinstance(task, dict):
                rows.append({"question_id": f"{video}_{name}", "video": video, **dict.fromkeys(FIELDS), **task})
    require_columns(path, rows, FIELDS)
    return rows


def _from_parquet(path: Path) -> list[dict]:
    """One row per question, from the mirror's parquet file."""
    table = pq.ParquetFile(path)
    require_columns(path, [dict.fromkeys(table.schema_arrow.names)], COLUMNS)
    rows = table.read(columns=list(COLUMNS)).to_pylist()
    return [{**row, "question_id": f"{row['video']}_{row['index']}"} for row in rows]


def collect(intake: Intake) -> None:
    """Take in the questions of either file. Raises InputError if a file, a column or a task is missing."""
    folder = intake.arguments.folder
    if any(folder.rglob("worldsense_qa.json")):
        where = find_one(folder, "worldsense_qa.json")
        rows = _from_json(where)
    else:
        where = find_one(folder, "*.parquet")
        rows = _from_parquet(where)
    ids = safe_ids(row["question_id"] for row in rows)
    rows = [{**row, "question_id": ids[row["question_id"]]} for row in rows]
    shipped = Shipped(folder, ARCHIVES)
    for row in intake.rows(rows, "task_type", where):
        intake.take_clip({**row, "choices": row["candidates"]}, f"{row['video']}.mp4", shipped)
