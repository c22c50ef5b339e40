"""One shard of frames and sound -> encoder outputs of one model, once a medium and never once an intervention.

    python workflow_scripts/extract_features.py --family qwen_omni --checkpoint resources/tiny-omni --dtype float32 \\
        --frames results/miniature/frames/mini-video/omni-56px/0.safetensors \\
        --out results/miniature/features/tiny-omni/mini-video/0.safetensors
"""

import argparse
import json
import os
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from avflow import cli
from avflow.adapters import load, model_arguments
from avflow.errors import InputError
from avflow.features import SAMPLE_RATE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model_arguments(parser)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    model = load(arguments)
    tensors = {}
    with safe_open(str(arguments.frames), "pt") as file:
        kinds = json.loads(file.metadata()["kinds"])
        names = set(file.keys())
        progress = cli.Progress(f"encoding {arguments.frames.stem}", len(kinds))
        for media_id, kind in kinds.items():
            stored = {n: file.get_tensor(f"{media_id}/{n}") for n in ("frames", "fps", "audio") if f"{media_id}/{n}" in names}
            if "fps" in stored:
                stored["fps"] = float(stored["fps"])
            try:
                encoded = model.encode(kind, **stored)
            except InputError as error:
                raise InputError(f"{arguments.frames}: medium {media_id}: {error}") from None
            if "audio" in stored and len(stored["audio"]) > int(encoded["samples"]):
                seconds = int(encoded["samples"]) // SAMPLE_RATE
                print(f"{media_id}: its sound is cut off at {seconds} s, as the model's own processor does", file=sys.stderr)
            tensors.update({f"{media_id}/{name}": tensor.cpu().contiguous() for name, tensor in encoded.items()})
            progress.step()
    part = f"{arguments.out}.part"
    save_file(tensors, part)
    os.replace(part, arguments.out)


if __name__ == "__main__":
    cli.run(main)
