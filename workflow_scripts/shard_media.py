"""List the media of each shard of a dataset, with the digests of their bytes: one file per shard, in the order of --out.

    python workflow_scripts/shard_media.py --questions results/miniature/questions/mini-video.jsonl \\
        --media results/miniature/media/mini-video.tsv --out results/miniature/media/mini-video/0.jsonl

Takes a second. The lists are what preprocess_media.py reads, so a changed file concerns its own shard only.
"""

import argparse
from pathlib import Path

from avflow import cli
from avflow.questions import shard_lists


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--media", type=Path, required=True, help="the media table")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="JSON Lines, one file per shard")
    arguments = parser.parse_args()
    shard_lists.write_lists(arguments.questions, arguments.media, arguments.out)


if __name__ == "__main__":
    cli.run(main)
