"""AV-SpeakerBench (arXiv 2512.02231): a csv of questions, and clips of longer videos in zip archives or as files.

`choices` is the text of a Python list. One video gives several clips, so the file identifies a medium; `video_id` does not.
Every question is built to need both modalities: it names what is seen and asks what is heard, or the reverse.
"""

import csv
import io

from ..errors import InputError
from ..hub import Shipped
from ..storage import read_text
from .names import safe_ids
from .preparation import Intake, find_one, require_columns

COLUMNS = ("question_id", "question", "choices", "answer", "task_id", "audio_visual_path")
ARCHIVES = "audiovisual*.zip"  # other archives hold the same clips without sound, or without pictures


def collect(intake: Intake) -> None:
    """Take in the questions of test.csv. Raises InputError if a file, a column or a task is missing."""
    folder = intake.arguments.folder
    where = find_one(folder, "test.csv")
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(where), newline="")))
    except csv.Error as error:
        raise InputError(f"{where}: not a csv file ({error}); download it again") from None
    require_columns(where, rows, COLUMNS)
    ids = safe_ids(row["question_id"] for row in rows)
    rows = [{"needs": "AV", **row, "question_id": ids[str(row["question_id"])]} for row in rows]
    shipped = Shipped(folder, ARCHIVES)
    for row in intake.rows(rows, "task_id", where):
        intake.take_clip(row, row["audio_visual_path"], shipped)
