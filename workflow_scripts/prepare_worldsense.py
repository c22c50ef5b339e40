"""WorldSense as the hub ships it -> normalised questions, their media in place and probed, and a list of what was dropped.

    python workflow_scripts/prepare_worldsense.py --dataset worldsense --setting av_video \\
        --folder downloads/datasets/worldsense --root results/paper/datasets/worldsense \\
        --questions results/paper/questions/worldsense.jsonl --media results/paper/media/worldsense.tsv \\
        --dropped results/paper/questions/worldsense.dropped.tsv
"""

from avflow import cli
from avflow.questions import preparation, worldsense


def main():
    arguments = preparation.parser(__doc__).parse_args()
    intake = preparation.Intake(arguments)
    worldsense.collect(intake)
    preparation.finish(intake)


if __name__ == "__main__":
    cli.run(main)
