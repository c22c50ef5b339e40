"""The question file of a rendered dataset -> normalised questions in the layout of Eq. 1 or Eq. 3, and a probe of every file.

    python workflow_scripts/prepare_miniature.py --dataset mini-video --setting av_video --knockout 60 \\
        --folder results/miniature/datasets/mini-video \\
        --questions results/miniature/questions/mini-video.jsonl --media results/miniature/media/mini-video.tsv
"""

import argparse
import csv
import json
from pathlib import Path

from avflow import benchmarks, cli, miniature
from avflow.media_table import keep_usable
from avflow.questions import Question, split_for_knockout, write_questions


def read_rows(path: Path, dataset: str, setting: str) -> list[Question]:
    """The questions of a test.csv."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if setting == "av_video":
        return [benchmarks.video_question(row, dataset, *miniature.INSTRUCTIONS[setting]) for row in rows]
    lists = ("options", "image_path", "audio_path")
    rows = [{**row, **{name: json.loads(row[name]) for name in lists}} for row in rows]
    return [benchmarks.items_question(row, dataset, *miniature.INSTRUCTIONS[setting]) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--setting", required=True, choices=["av_video", "items"])
    parser.add_argument("--folder", type=Path, required=True, help="folder with test.csv and media/")
    parser.add_argument("--knockout", type=int, required=True, help="questions a task that interventions are run on")
    parser.add_argument("--questions", type=Path, required=True, help="output, JSON Lines")
    parser.add_argument("--media", type=Path, required=True, help="output, tsv")
    arguments = parser.parse_args()
    questions = read_rows(arguments.folder / "test.csv", arguments.dataset, arguments.setting)
    kept = keep_usable(questions, arguments.folder, arguments.media, needs_audio=arguments.setting == "av_video")
    write_questions(split_for_knockout(kept, arguments.knockout), arguments.questions)


if __name__ == "__main__":
    cli.run(main)
