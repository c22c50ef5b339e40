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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.media import Sampling, decoding, decoding_arguments, files, plan_table
from avflow.questions import read_questions, shard_lists
from avflow.storage import ShardWriter, provenance, room_for


def unchanged(path: Path, medium, remedy: str, work):
    """`work(path)`, with the file as it was probed. Raises InputError with the remedy if its bytes are others, or change."""
    try:
        before = provenance.file_state(path)
        if medium.sha256 in ("", provenance.file_hash(path)):
            done = work(path)
            if provenance.file_state(path) == before:
                return done
    except FileNotFoundError:
        raise InputError(f"{path}: the file is gone since it was probed; {remedy}") from None
    raise InputError(f"{path}: the file has changed since it was probed; {remedy}")


def sampling_arguments(parser) -> None:
    """Add an option for every setting of `Sampling`."""
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--fps", type=float, help="frames per second")
    kind.add_argument("--interval", type=float, help="instead of --fps: seconds per frame, spread evenly from first to last")
    parser.add_argument(
        "--frames", choices=["exact", "official"], help="with --fps: at exactly t = k / fps (the default), or as qwen-omni-utils"
    )
    rates = ["sampled", "nominal"]
    parser.add_argument("--rate", choices=rates, help="with official frames: positions follow the rate of the frames, or --fps")
    parser.add_argument("--min-frames", type=int, help="with --interval or official frames: fewest frames per video")
    parser.add_argument("--max-frames", type=int, required=True)
    parser.add_argument("--multiple", type=int, required=True, help="sides are multiples of this: patch size times merge size")
    parser.add_argument("--min-pixels", type=int, required=True, help="fewest pixels per frame")
    parser.add_argument(
        "--max-pixels", type=int, required=True, help="most pixels per frame; with --interval, for a video of max-frames frames"
    )
    parser.add_argument("--total-pixels", type=int, help="with --fps: most pixels of all temporal grids of a video together")
    parser.add_argument("--max-tokens", type=int, help="with --fps: most tokens of a prompt; a longer clip gets fewer frames")
    parser.add_argument("--min-fps", type=float, help="with --max-tokens: below this, frames lose pixels instead")
    parser.add_argument("--audio-per-second", type=float, help="with --max-tokens: tokens of a second of sound")
    parser.add_argument("--audio-seconds", type=float, help="with --max-tokens: the model hears no more of a sound")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--media", type=Path, help="the shard's list of media, JSON Lines")
    source.add_argument("--questions", type=Path, help="questions whose media are decoded, JSON Lines")
    parser.add_argument("--shard", type=int, default=0, help="with --questions: the number of the shard")
    parser.add_argument("--shards", type=int, default=1, help="with --questions: the number of shards")
    parser.add_argument("--media-root", type=Path, required=True)
    parser.add_argument("--remedy", default="run the prepare rule of its dataset again", help="what to do about a changed file")
    sampling_arguments(parser)
    decoding_arguments(parser)
    parser.add_argument("--threads", type=int, default=1, help="files decoded at once")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="also write how each medium was sampled, tsv")
    arguments = parser.parse_args()

    if arguments.media:
        listed = shard_lists.read_list(arguments.media)
    else:
        listed = shard_lists.listed(read_questions(arguments.questions, arguments.shard, arguments.shards))
    items = {m.media_id: m for m in listed}
    progress = cli.Progress(f"decoding shard {arguments.media.stem if arguments.media else arguments.shard}", len(items))
    torch.set_num_threads(1)
    order, ahead = sorted(items), 2 * arguments.threads
    kinds = json.dumps({media_id: items[media_id].kind for media_id in order}, sort_keys=True)
    room = 2 * len(kinds) + room_for(f"{media_id}/{name}" for media_id in order for name in ("frames", "fps", "audio"))

    how, found = Sampling.of(arguments), {}
    limits = dict(reader=arguments.reader, largest=arguments.max_picture_pixels)

    def work(media_id):
        medium = items[media_id]
        decode = lambda path: decoding.decode(path, medium.kind, how, medium.text, medium.media, **limits)  # noqa: E731
        arrays, planned = unchanged(arguments.media_root / medium.path, medium, arguments.remedy, decode)
        found[media_id] = plan_table.row(media_id, medium.kind, how, planned, len(arrays.get("audio", ())))
        return arrays

    with ShardWriter(arguments.out, room, {"kinds": kinds}) as shard, ThreadPoolExecutor(arguments.threads) as pool:
        try:
            for first in range(0, len(order), ahead):  # in small groups: decoding may outrun writing
                some = order[first : first + ahead]
                for media_id, decoded in zip(some, pool.map(work, some)):
                    for name, array in decoded.items():
                        shard.add(f"{media_id}/{name}", array)
                    progress.step()
        except files.MediaError as error:
            pool.shutdown(cancel_futures=True)
            raise InputError(f"{error}; it was readable when probed: {arguments.remedy}") from None
    for note in plan_table.notes(list(found.values()), how):
        print(f"{arguments.out}: {note}", file=sys.stderr, flush=True)
    if arguments.table:
        plan_table.write(arguments.table, [found[media_id] for media_id in order])


if __name__ == "__main__":
    cli.run(main)
