"""Decode the media of one shard's questions to frames (uint8, at the model's size) and sound (float32, 16 kHz mono).

    python workflow_scripts/preprocess_media.py --media results/miniature/media/mini-video/0.jsonl \\
        --media-root results/miniature/datasets/mini-video --fps 2 --max-frames 768 \\
        --multiple 28 --min-pixels 3136 --max-pixels 3136 --out results/miniature/frames/mini-video/omni-56px/0.safetensors

--media is a list of shard_media.py. A file whose bytes are not those that were probed is an error. Instead, --questions with
--shard and --shards takes the media of a file of questions, whatever their bytes. Decoding takes most of the time, so each medium
is decoded once per sampling. A clip of the miniature takes about 15 ms.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from avflow import cli
from avflow.errors import InputError
from avflow.media import decoding_arguments, encoder_inputs, files, sampling
from avflow.questions import read_questions, shard_lists
from avflow.storage import ShardWriter, provenance, room_for


def prepare(path, kind: str, wanted) -> dict[str, np.ndarray]:
    """Those of frames uint8 (T, 3, H, W), fps () and audio float32 (n,) that a medium has. wanted: the script's options.

    Raises InputError if no frame size fits the limits, and MediaError if the file cannot be decoded.
    """
    out, decoding = {}, (wanted.reader, wanted.max_picture_pixels)

    def shrink(frames, count):
        limits = wanted.max_frames, wanted.min_pixels, wanted.max_pixels, wanted.total_pixels
        most = sampling.most_pixels(count, bool(wanted.interval), *limits) if kind == "video" else wanted.max_pixels
        try:
            size = encoder_inputs.resized_shape(*frames.shape[-2:], wanted.multiple, wanted.min_pixels, most)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        resize = (
            encoder_inputs.resize_video if kind == "video" and wanted.fps else encoder_inputs.resize
        )  # each as its model's own code resizes
        return resize(torch.from_numpy(frames), *size).numpy()

    if kind == "video":
        if wanted.fps:
            frames, fps = files.read_frames(path, wanted.fps, wanted.max_frames, shrink, *decoding)
        else:
            spread = wanted.interval, wanted.min_frames, wanted.max_frames
            frames, fps = files.read_spread_frames(path, *spread, shrink, *decoding)
        out["frames"], out["fps"] = frames, np.array(fps, np.float64)
    elif kind == "image":
        out["frames"] = shrink(files.read_image(path, wanted.max_picture_pixels).copy(), 1)
    if kind == "audio" or kind == "video" and files.has_audio(path):
        out["audio"] = files.read_audio(path)
    return out


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--media", type=Path, help="the shard's list of media, JSON Lines")
    source.add_argument("--questions", type=Path, help="questions whose media are decoded, JSON Lines")
    parser.add_argument("--shard", type=int, default=0, help="with --questions: the number of the shard")
    parser.add_argument("--shards", type=int, default=1, help="with --questions: the number of shards")
    parser.add_argument("--media-root", type=Path, required=True)
    parser.add_argument("--remedy", default="run the prepare rule of its dataset again", help="what to do about a changed file")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--fps", type=float, help="frames per second, at exactly t = k / fps")
    kind.add_argument("--interval", type=float, help="instead of --fps: seconds per frame, spread evenly from first to last")
    parser.add_argument("--min-frames", type=int, default=1, help="with --interval: fewest frames per video")
    parser.add_argument("--max-frames", type=int, required=True)
    parser.add_argument("--multiple", type=int, required=True, help="sides are multiples of this: patch size times merge size")
    parser.add_argument("--min-pixels", type=int, required=True, help="fewest pixels per frame")
    parser.add_argument(
        "--max-pixels", type=int, required=True, help="most pixels per frame; with --interval, for a video of max-frames frames"
    )
    parser.add_argument("--total-pixels", type=int, help="with --fps: most pixels of all temporal grids of a video together")
    decoding_arguments(parser)
    parser.add_argument("--threads", type=int, default=1, help="files decoded at once")
    parser.add_argument("--out", type=Path, required=True)
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

    def work(media_id):
        medium = items[media_id]
        path = arguments.media_root / medium.path
        return unchanged(path, medium, arguments.remedy, lambda path: prepare(path, medium.kind, arguments))

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


if __name__ == "__main__":
    cli.run(main)
