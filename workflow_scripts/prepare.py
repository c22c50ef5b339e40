"""The questions of a dataset -> normalised questions, their media in place and probed, and a list of what was dropped.

    python workflow_scripts/prepare.py --type questions --dataset mine --setting av_video --questions-file mine/questions.jsonl \\
        --root mine/media --instruction "Choose." --questions results/mine/questions/mine.jsonl \\
        --media results/mine/media/mine.tsv --dropped results/mine/questions/mine.dropped.tsv
    python workflow_scripts/prepare.py --type worldsense --dataset worldsense --setting av_video \\
        --folder downloads/datasets/worldsense --root results/paper/datasets/worldsense \\
        --questions results/paper/questions/worldsense.jsonl --media results/paper/media/worldsense.tsv \\
        --dropped results/paper/questions/worldsense.dropped.tsv

The miniature's questions and your own come from --questions-file, a benchmark's from the --folder that it was downloaded to.
docs/adding_a_dataset.md says what stands in a line of your own questions. Seconds for the miniature; a benchmark's media are
unpacked and decoded once, in hours.
"""

from avflow import cli
from avflow.questions import preparation, readers


def main():
    arguments = preparation.parser(__doc__).parse_args()
    intake = preparation.Intake(arguments)
    readers.collect(arguments.type, intake)
    preparation.finish(intake)


if __name__ == "__main__":
    cli.run(main)
