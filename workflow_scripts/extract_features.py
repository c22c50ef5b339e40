"""Encode one shard's frames and sound with one model. Each medium is encoded once, however many interventions use it.

    python workflow_scripts/extract_features.py --family qwen_omni --checkpoint resources/tiny-omni --dtype float32 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors \\
        --out results/miniature/features/tiny-omni/mini-video/0.safetensors
"""

import argparse
import json
import sys
from pathlib import Path

from avflow import cli
from avflow.errors import InputError
from avflow.media import SAMPLE_RATE
from avflow.models import gpu_memory, load_model, model_arguments
from avflow.storage import FeatureStore, ShardWriter, room_for

OUTPUTS = ("vision", "audio", "grid", "seconds_per_grid", "samples")


def encode(model, frames: FeatureStore, media_id: str, kind: str) -> dict:
    """Encoder outputs of one medium. Raises InputError that names the file and the medium."""
    stored = {name: frames.get(media_id, name) for name in ("frames", "fps", "audio") if frames.has(media_id, name)}
    if "fps" in stored:
        stored["fps"] = float(stored["fps"])
    try:
        with gpu_memory.holding("its encoding"):
            encoded = model.encode(kind, **stored)
    except InputError as error:
        raise InputError(f"{frames.path}: medium {media_id}: {error}") from None
    if "audio" in stored and len(stored["audio"]) > int(encoded["samples"]):
        seconds = int(encoded["samples"]) // SAMPLE_RATE
        print(f"{media_id}: sound cut off at {seconds} s, the limit of the model's own processor", file=sys.stderr)
    return encoded


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model_arguments(parser)
    parser.add_argument("--frames", type=cli.made_by("the rule preprocess_media"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    frames = FeatureStore(arguments.frames)
    kinds = json.loads(frames.metadata["kinds"])
    with gpu_memory.holding(f"the model of {arguments.checkpoint}"):
        model = load_model(arguments)
    progress = cli.Progress(f"encoding {arguments.frames.stem}", len(kinds))
    room = room_for(f"{media_id}/{name}" for media_id in kinds for name in OUTPUTS)
    with ShardWriter(arguments.out, room, {}) as shard:
        for media_id, kind in kinds.items():
            for name, tensor in encode(model, frames, media_id, kind).items():
                shard.add(f"{media_id}/{name}", tensor.cpu())
            progress.step()


if __name__ == "__main__":
    cli.run(main)
