"""Encode one shard's frames and sound with one model. Each medium is encoded once, however many interventions use it.

    python workflow_scripts/extract_features.py --family qwen_omni --checkpoint resources/tiny-omni --dtype float32 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors \\
        --out results/miniature/features/tiny-omni/mini-video/0.safetensors

With --decode instead of --frames, media are decoded here, ahead of the encoders, and no frames are kept. Its value holds the
options of preprocess_media.py. --table then lists how each medium was sampled.
"""

import argparse
import json
import sys
from pathlib import Path

from avflow import cli
from avflow.errors import InputError
from avflow.media import SAMPLE_RATE, plan_table
from avflow.models import gpu_memory, load_model, model_arguments
from avflow.questions.decoded_media import DecodedMedia
from avflow.storage import FeatureStore, ShardWriter, room_for

OUTPUTS = ("vision", "audio", "grid", "seconds_per_grid", "samples")


def encode(model, stored: dict, media_id: str, kind: str, where) -> dict:
    """Encoder outputs of one medium. stored: those of frames, fps and audio that it has. Raises InputError that names it."""
    if "fps" in stored:
        stored["fps"] = float(stored["fps"])
    try:
        with gpu_memory.holding("its encoding"):
            encoded = model.encode(kind, **stored)
    except InputError as error:
        raise InputError(f"{where}: medium {media_id}: {error}") from None
    if "audio" in stored and len(stored["audio"]) > int(encoded["samples"]):
        seconds = int(encoded["samples"]) // SAMPLE_RATE
        print(f"{media_id}: sound cut off at {seconds} s, the limit of the model's own processor", file=sys.stderr)
    return encoded


def read(path):
    """The media of a file of frames: media_id -> kind, and an iterator of (media_id, its arrays)."""
    frames = FeatureStore(path)
    kinds = json.loads(frames.metadata["kinds"])
    names = ("frames", "fps", "audio")
    return kinds, ((m, {name: frames.get(m, name) for name in names if frames.has(m, name)}) for m in kinds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model_arguments(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--frames", type=cli.made_by("the rule preprocess_media"), help="frames and sound, safetensors")
    source.add_argument("--decode", type=DecodedMedia.of_options, help="options of preprocess_media.py, as one text")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="with --decode: also write how each medium was sampled, tsv")
    arguments = parser.parse_args()

    if media := arguments.decode:
        media.threads = max(1, arguments.threads)
        kinds, each, where = media.kinds, media.each(), media.path
    else:
        (kinds, each), where = read(arguments.frames), arguments.frames
    with gpu_memory.holding(f"the model of {arguments.checkpoint}"):
        model = load_model(arguments)
    progress = cli.Progress(f"encoding {where.stem}", len(kinds))
    room = room_for(f"{media_id}/{name}" for media_id in kinds for name in OUTPUTS)
    with ShardWriter(arguments.out, room, {}) as shard:
        for media_id, stored in each:
            for name, tensor in encode(model, stored, media_id, kinds[media_id], where).items():
                shard.add(f"{media_id}/{name}", tensor.cpu())
            progress.step()
    for note in plan_table.notes(media.table(), media.how) if media else ():
        print(f"{arguments.out}: {note}", file=sys.stderr, flush=True)
    if media and arguments.table:
        plan_table.write(arguments.table, media.table())


if __name__ == "__main__":
    cli.run(main)
