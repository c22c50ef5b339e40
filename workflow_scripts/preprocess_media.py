"""Decode the media of one shard's questions to frames (uint8, at the model's size) and sound (float32, 16 kHz mono).

    python workflow_scripts/preprocess_media.py --media results/miniature/media/mini-video/0.jsonl \\
        --media-root results/miniature/datasets/mini-video --fps 2 --max-frames 768 \\
        --multiple 28 --min-pixels 3136 --max-pixels 3136 --out results/miniature/frames/mini-video/omni-56px/0.safetensors \\
        --table results/miniature/frames/mini-video/omni-56px/0.tsv

--media is a list of shard_media.py. A file whose bytes are not those that were probed is an error. Instead, --questions with
--shard and --shards takes the media of a file of questions, whatever their bytes. Decoding takes most of the time, so each medium
is decoded once per sampling. A clip of the miniature takes about 15 ms. --table lists how each medium was sampled
(avflow/media/plan_table.py).
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from avflow import cli
from avflow.media import plan_table
from avflow.questions import decoded_media
from avflow.storage import ShardWriter, room_for


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    decoded_media.options(parser)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="also write how each medium was sampled, tsv")
    arguments = parser.parse_args()

    media = decoded_media.DecodedMedia(arguments)
    progress = cli.Progress(f"decoding shard {media.name}", len(media.items))
    torch.set_num_threads(1)
    kinds = json.dumps(media.kinds, sort_keys=True)
    room = 2 * len(kinds) + room_for(f"{media_id}/{name}" for media_id in media.items for name in ("frames", "fps", "audio"))
    with ShardWriter(arguments.out, room, {"kinds": kinds}) as shard:
        for media_id, decoded in media.each():
            for name, array in decoded.items():
                shard.add(f"{media_id}/{name}", array)
            progress.step()
    for note in plan_table.notes(media.table(), media.how):
        print(f"{arguments.out}: {note}", file=sys.stderr, flush=True)
    if arguments.table:
        plan_table.write(arguments.table, media.table())


if __name__ == "__main__":
    cli.run(main)
