"""Bring a dataset's questions into the shared shape, put their media in place, probe them, and list what was dropped and why.

    python workflow_scripts/prepare.py --type questions --dataset mine --setting av_video --questions-file mine/questions.jsonl \\
        --root mine/media --instruction "Choose." --questions results/mine/questions/mine.jsonl \\
        --media results/mine/media/mine.tsv --dropped results/mine/questions/mine.dropped.tsv
    python workflow_scripts/prepare.py --type worldsense --dataset worldsense --setting av_video \\
        --folder downloads/datasets/worldsense --root results/paper/datasets/worldsense \\
        --questions results/paper/questions/worldsense.jsonl --media results/paper/media/worldsense.tsv \\
        --dropped results/paper/questions/worldsense.dropped.tsv

Use --questions-file for the miniature's questions and your own, and --folder (the download) for a benchmark's.
docs/adding_a_dataset.md describes a line of your own questions. The miniature takes seconds. A benchmark takes hours, because all
its media in use are unpacked and decoded once.
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
