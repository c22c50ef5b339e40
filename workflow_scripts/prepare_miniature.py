"""The question file of a rendered dataset -> normalised questions in the layout of Eq. 1 or Eq. 3, and a probe of every file.

    python workflow_scripts/prepare_miniature.py --dataset mini-video --setting av_video --knockout 60 \\
        --folder results/miniature/datasets/mini-video --root results/miniature/datasets/mini-video \\
        --questions results/miniature/questions/mini-video.jsonl --media results/miniature/media/mini-video.tsv \\
        --dropped results/miniature/questions/mini-video.dropped.tsv
"""

import csv
import json
from pathlib import Path

from avflow import cli
from avflow.miniature import datasets
from avflow.questions import Question, benchmark_rows, preparation


def read_rows(path: Path, dataset: str, setting: str) -> list[Question]:
    """The questions of a test.csv."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if setting == "av_video":
        return [benchmark_rows.video_question(row, dataset, *datasets.INSTRUCTIONS[setting]) for row in rows]
    lists = ("options", "image_path", "audio_path")
    rows = [{**row, **{name: json.loads(row[name]) for name in lists}} for row in rows]
    return [benchmark_rows.items_question(row, dataset, *datasets.INSTRUCTIONS[setting]) for row in rows]


def main():
    arguments = preparation.parser(__doc__).parse_args()
    intake = preparation.Intake(arguments)
    intake.questions = read_rows(arguments.folder / "test.csv", arguments.dataset, arguments.setting)
    preparation.finish(intake)


if __name__ == "__main__":
    cli.run(main)
