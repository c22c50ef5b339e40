"""Compare the video-SALMONN 2+ port with outputs of the official code: positions, features and logits.

    python workflow_scripts/check_parity.py tests/data/video_salmonn2_plus

reads two files of any model size:

* <prefix>.json: the model's config, seconds per grid, audio tokens after each grid;
* <prefix>.safetensors: weights under their official names, the rows of embeddings and head for the ids in use (rows/), inputs
  (in/), and the official code's outputs (out/).

Prints the largest difference of each output. Exits with 1 if one exceeds 1e-4 or a position differs. Takes five seconds.
"""

import argparse
import json
import sys
from types import SimpleNamespace

import torch
from safetensors.torch import load_file

from avflow import cli
from avflow.errors import InputError
from avflow.models import POSITIONS, SalmonnLayout, SalmonnPort, Sequence
from avflow.tracing import clean_run

TOLERANCE = 1e-4
FIXTURE_NAMES = {"official_generate": "generate", "training": "training"}


def read_fixture(prefix: str) -> tuple[dict, dict]:
    """The contents of the json and the tensors. Raises InputError if a file is missing."""
    try:
        with open(f"{prefix}.json", encoding="utf-8") as file:
            return json.load(file), load_file(f"{prefix}.safetensors")
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; give the common prefix of a .json and a .safetensors") from None


def port_of(config: dict, tensors: dict) -> SalmonnPort:
    """The network with the fixture's weights. Rows of embeddings and head that the fixture lacks are zero."""
    weights = {name: tensor for name, tensor in tensors.items() if name.split("/")[0] not in ("in", "out", "rows")}
    for name, rows in (("model.embed_tokens.weight", "rows/embed_tokens"), ("lm_head.weight", "rows/lm_head")):
        weights[name] = torch.zeros(config["vocab_size"], tensors[rows].shape[1])
        weights[name][tensors["rows/token_ids"]] = tensors[rows]
    with torch.device("meta"):
        port = SalmonnPort(config)
    port.take(weights.items())
    port.complete("cpu")
    return port.eval().requires_grad_(False)


def positions_of(port: SalmonnPort, facts: dict, tensors: dict, mode: str) -> torch.Tensor:
    """Position ids (3, S) by the adapter's layout. The fixture's prompt is one video with sound between two texts."""
    ids = tensors["in/input_ids"][0]
    layout = SalmonnLayout(port.config, port.chunk_samples, port.tokens_per_chunk, mode).of(
        "video",
        1,
        "video",
        {
            "grid": tensors["in/video_grid_thw"][0],
            "seconds_per_grid": torch.tensor(facts["second_per_grid"], dtype=torch.float64),
            "audio": tensors["in/mel"],
            "samples": torch.tensor(len(tensors["in/mel"]) * port.chunk_samples),
        },
    )
    before = int((ids == facts["config"]["vision_start_token_id"]).nonzero()[0])
    after = len(ids) - before - layout.positions.shape[1]
    text = torch.arange(max(before, after)).expand(3, -1)
    return torch.cat([text[:, :before], layout.positions + before, text[:, :after] + before + layout.advance], 1)


@torch.inference_mode()
def differences(facts: dict, tensors: dict) -> dict[str, float]:
    """Largest absolute difference by name: features of both encoders, and positions and logits in both position modes."""
    port, config = port_of(facts["config"], tensors), facts["config"]
    ids = tensors["in/input_ids"][0]
    audio = port.audio(tensors["in/mel"])
    vision = port.vision(tensors["in/pixel_values_videos"], tensors["in/video_grid_thw"][0])
    found = {"audio features": audio - tensors["out/audio_features"], "visual features": vision - tensors["out/visual_features"]}
    embeds = port.decoder.embed_tokens(ids)
    embeds[ids == config["audio_token_id"]] = audio.flatten(0, 1)
    embeds[ids == config["video_token_id"]] = vision
    model = SimpleNamespace(decoder=port.decoder, folder="the fixture")
    for mode in POSITIONS:
        positions, name = positions_of(port, facts, tensors, mode), FIXTURE_NAMES[mode]
        run = clean_run(model, Sequence(None, ids, embeds, positions, None, None, None))
        logits = port.vl.lm_head(port.decoder.norm(run.final))[:, tensors["rows/token_ids"]]
        found[f"positions, {mode}"] = positions - tensors[f"out/positions_{name}"][:, 0]
        found[f"logits, {mode}"] = logits - tensors[f"out/logits_{name}"]
    return {name: difference.abs().max().item() for name, difference in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", help="path of the fixture without .json and .safetensors")
    found = differences(*read_fixture(parser.parse_args().prefix))
    for name, value in found.items():
        print(f"{name:32} {value:.1e}")
    if not all(value <= TOLERANCE for value in found.values()):  # written so that NaN fails, too
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
