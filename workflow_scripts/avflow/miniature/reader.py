"""Read the question file of a rendered miniature dataset into questions, laid out as in Eq. 1 or Eq. 3."""

import csv
import json
from dataclasses import replace
from pathlib import Path

from ..questions import Question, benchmark_rows
from ..questions.preparation import Intake
from .datasets import INSTRUCTIONS, TRAINED
from .world import FREE_INSTRUCTION


def collect(intake: Intake) -> None:
    """Take in all questions of a test.csv, in the order in which they were drawn.

    --tasks, --groups, --keep and --per-task do not apply.
    """
    arguments = intake.arguments
    layout = arguments.layout or TRAINED
    intake.questions = read_rows(arguments.questions_file, arguments.dataset, arguments.setting, layout)


def read_rows(path: Path, dataset: str, setting: str, layout: str = TRAINED) -> list[Question]:
    """The questions of a test.csv. setting: "av_video" or "items". layout: of items, as `benchmark_rows.items_question` says."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if setting == "av_video":
        return [_of_clip(row, dataset) for row in rows]
    lists = ("options", "image_path", "audio_path")
    rows = [{**row, **{name: json.loads(row[name]) for name in lists}} for row in rows]
    questions = [benchmark_rows.items_question(row, dataset, *INSTRUCTIONS[setting], layout=layout) for row in rows]
    return [replace(question, group=row["group"]) for question, row in zip(questions, rows)]


def _of_clip(row: dict, dataset: str) -> Question:
    """A question about a clip. Without choices it is answered in free words."""
    if not row["choices"]:
        return benchmark_rows.free_question(row, dataset, FREE_INSTRUCTION)
    return benchmark_rows.video_question(row, dataset, *INSTRUCTIONS["av_video"])
