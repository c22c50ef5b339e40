"""mini-video's csv -> normalised questions in the layout of Eq. 1, and a probe of every clip.

    python workflow_scripts/prepare_mini_video.py --benchmark results/miniature/datasets/mini-video --knockout 60 \\
        --questions results/miniature/questions/mini-video.jsonl --media results/miniature/media/mini-video.tsv
"""

import argparse
import csv
from pathlib import Path

from avflow import benchmarks, cli, miniature, world
from avflow.media_table import keep_usable
from avflow.questions import split_for_knockout, write_questions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True, help="folder with test.csv and clips/")
    parser.add_argument("--knockout", type=int, required=True, help="questions a task that interventions are run on")
    parser.add_argument("--questions", type=Path, required=True, help="output, JSON Lines")
    parser.add_argument("--media", type=Path, required=True, help="output, tsv")
    arguments = parser.parse_args()
    with open(arguments.benchmark / "test.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    questions = [benchmarks.video_question(row, miniature.VIDEO, world.VIDEO_INSTRUCTION, world.VIDEO_ENDING) for row in rows]
    kept = keep_usable(questions, arguments.benchmark, arguments.media, needs_audio=True)
    write_questions(split_for_knockout(kept, arguments.knockout), arguments.questions)


if __name__ == "__main__":
    cli.run(main)
