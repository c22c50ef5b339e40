"""Download exactly the files of a pin into a folder, and check each by its hash. manifest.json is written last.

    python workflow_scripts/download.py --pin resources/pins/qwen2.5-omni-3b.json --folder downloads/models/qwen2.5-omni-3b

Takes as long as the network needs. After an interruption, run it again: it goes on where it stopped, even within a file. HF_TOKEN
opens gated repositories. HF_ENDPOINT names another hub.
"""

import argparse
from pathlib import Path

from avflow import cli
from avflow.hub import Backoff, download, read_pin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pin", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=4, help="files downloaded at once")
    parser.add_argument("--tries", type=int, default=6, help="give up after this many tries without progress")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the second try; doubled before every further one")
    arguments = parser.parse_args()
    backoff = Backoff(tries=arguments.tries, first=arguments.wait)
    download(read_pin(arguments.pin), arguments.pin.stem, arguments.folder, arguments.threads, backoff)


if __name__ == "__main__":
    cli.run(main)
