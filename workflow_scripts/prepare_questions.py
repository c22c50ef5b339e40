"""Your own questions and media -> normalised questions, a probe of every file, and a list of what was dropped.

    python workflow_scripts/prepare_questions.py --dataset mine --setting av_video --questions-file mine/questions.jsonl \\
        --folder mine --root mine/media --instruction "Choose." --questions results/mine/questions/mine.jsonl \\
        --media results/mine/media/mine.tsv --dropped results/mine/questions/mine.dropped.tsv

docs/adding_a_dataset.md says what stands in a line of the questions file.
"""

from pathlib import Path

from avflow import cli
from avflow.questions import own_questions, preparation


def main():
    parser = preparation.parser(__doc__)
    parser.add_argument("--questions-file", type=Path, required=True, help="JSON Lines, one question a line")
    arguments = parser.parse_args()
    intake = preparation.Intake(arguments)
    own_questions.collect(intake, arguments.questions_file)
    preparation.finish(intake)


if __name__ == "__main__":
    cli.run(main)
