"""AV-Odyssey as the hub ships it -> normalised questions, their media in place and probed, and a list of what was dropped.

    python workflow_scripts/prepare_av_odyssey.py --dataset av_odyssey --setting items \\
        --folder downloads/datasets/av_odyssey --root results/paper/datasets/av_odyssey \\
        --questions results/paper/questions/av_odyssey.jsonl --media results/paper/media/av_odyssey.tsv \\
        --dropped results/paper/questions/av_odyssey.dropped.tsv
"""

from avflow import cli
from avflow.questions import av_odyssey, preparation


def main():
    arguments = preparation.parser(__doc__).parse_args()
    intake = preparation.Intake(arguments)
    av_odyssey.collect(intake)
    preparation.finish(intake)


if __name__ == "__main__":
    cli.run(main)
