"""AV-SpeakerBench as the hub ships it -> normalised questions, their media in place and probed, and a list of what was dropped.

    python workflow_scripts/prepare_av_speakerbench.py --dataset av_speakerbench --setting av_video \\
        --folder downloads/datasets/av_speakerbench --root results/paper/datasets/av_speakerbench \\
        --questions results/paper/questions/av_speakerbench.jsonl --media results/paper/media/av_speakerbench.tsv \\
        --dropped results/paper/questions/av_speakerbench.dropped.tsv
"""

from avflow import cli
from avflow.questions import av_speakerbench, preparation


def main():
    arguments = preparation.parser(__doc__).parse_args()
    intake = preparation.Intake(arguments)
    av_speakerbench.collect(intake)
    preparation.finish(intake)


if __name__ == "__main__":
    cli.run(main)
