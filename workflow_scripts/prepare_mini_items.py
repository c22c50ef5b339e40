"""mini-items' rows -> normalised questions in the layout of Eq. 3, and a probe of every picture and sound.

    python workflow_scripts/prepare_mini_items.py --benchmark results/miniature/datasets/mini-items --knockout 60 \\
        --questions results/miniature/questions/mini-items.jsonl --media results/miniature/media/mini-items.tsv
"""

import argparse
import json
from pathlib import Path

from avflow import benchmarks, cli, miniature, world
from avflow.media_table import keep_usable
from avflow.questions import split_for_knockout, write_questions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True, help="folder with test.jsonl and media/")
    parser.add_argument("--knockout", type=int, required=True, help="questions a task that interventions are run on")
    parser.add_argument("--questions", type=Path, required=True, help="output, JSON Lines")
    parser.add_argument("--media", type=Path, required=True, help="output, tsv")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in (arguments.benchmark / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    questions = [benchmarks.items_question(row, miniature.ITEMS, world.ITEMS_INSTRUCTION) for row in rows]
    kept = keep_usable(questions, arguments.benchmark, arguments.media, needs_audio=False)
    write_questions(split_for_knockout(kept, arguments.knockout), arguments.questions)


if __name__ == "__main__":
    cli.run(main)
