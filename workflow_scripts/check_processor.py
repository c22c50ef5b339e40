"""Compare an Omni adapter with the official processor: tokens, positions, pixels, spectrograms and logits.

    python workflow_scripts/check_processor.py
    python workflow_scripts/check_processor.py --family qwen3_omni
    python workflow_scripts/check_processor.py --record tests/data/qwen_omni_processor.npz

Generated media of every awkward kind (`processor_cases`) go two ways through one tiny network of random weights:

* official: transformers' processor, get_rope_index and forward; videos are resized first, as qwen-omni-utils does;
* ours: the adapter.

Prints the largest difference of each. Exits with 1 if a token differs, if a position differs by more than rounding, if pixels or
spectrograms differ by more than 1e-5, or if logits differ by more than 1e-4 of the largest logit. Takes a minute.

Qwen3-Omni's processor and encoder pad several sounds to the longest. Here they get them one by one, so that none depends on the
others.

Only the official processor needs torchvision:

    pip install --no-deps --target <folder> torchvision==0.28.0
    PYTHONPATH=<folder> python workflow_scripts/check_processor.py

`--record` keeps the official outputs. Tests compare the adapter with them when torchvision is not installed.
"""

import argparse
import os
import sys
import tempfile

import torch

OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
try:
    import torchvision  # noqa: F401
except ImportError:
    pass  # `official_processor` raises the error
except RuntimeError:  # torchvision built for CUDA lacks operators next to a CPU torch; nothing here calls them, so declare them
    for loaded in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[loaded]
    for operator in ("nms", "qnms"):
        OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402 (transformers looks for torchvision when it is imported)
from transformers import BatchFeature, WhisperFeatureExtractor  # noqa: E402

from avflow import cli  # noqa: E402
from avflow.errors import InputError  # noqa: E402
from avflow.miniature import processor_cases  # noqa: E402
from avflow.tracing import causal_mask, masked_run  # noqa: E402

TOLERANCE = {"ids": 0, "positions": 1e-4, "pixels": 1e-5, "mel": 1e-5, "logits": 1e-4}


class OneByOne(WhisperFeatureExtractor):
    """The official extractor, called for each sound alone. What is added to the shorter ones is masked."""

    def __call__(self, sounds, **kwargs):
        found = [super(OneByOne, self).__call__([sound], **kwargs) for sound in sounds]
        longest = max(one["input_features"].shape[-1] for one in found)
        padded = lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, longest - x.shape[-1])])  # noqa: E731
        return BatchFeature(
            {name: np.concatenate([padded(one[name]) for one in found]) for name in ("input_features", "attention_mask")}
        )


def official_processor(tokenizer, family: str = "qwen_omni"):
    """transformers' processor with the settings of the released checkpoints. Raises InputError without torchvision."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        raise InputError(
            "torchvision is not installed and the official processor needs it; pip install --no-deps --target <folder>"
            " torchvision==0.28.0 and add the folder to PYTHONPATH"
        ) from None
    from transformers import Qwen2_5OmniProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor, Qwen3OmniMoeProcessor

    kinds = {"qwen_omni": (Qwen2_5OmniProcessor, WhisperFeatureExtractor), "qwen3_omni": (Qwen3OmniMoeProcessor, OneByOne)}
    (processor, extractor), settings = kinds[family], processor_cases.FAMILIES[family].preprocessor
    extractor = extractor(feature_size=128, chunk_length=300, return_attention_mask=True)
    pictures = Qwen2VLImageProcessor(**settings), Qwen2VLVideoProcessor(**settings)
    return processor(*pictures, extractor, tokenizer, chat_template=tokenizer.chat_template)


def resized(frames: torch.Tensor, factor: int) -> torch.Tensor:
    """A video as qwen-omni-utils gives it to the processor: resized as by fetch_video (0.0.9), in floats.

    factor: pixels per token along each side, which is twice its `image_patch_size`.
    """
    from torchvision.transforms import InterpolationMode, functional
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import smart_resize

    size = smart_resize(*frames.shape[-2:], factor=factor, **processor_cases.LIMITS)
    return functional.resize(frames, list(size), interpolation=InterpolationMode.BICUBIC, antialias=True).float()


@torch.inference_mode()
def officially(adapter, processor, case: str):
    """The official code's inputs of a case, named as in `processor_cases.ours`, and the last logits of its forward."""
    media, factor = processor_cases.EVERY[case], adapter.patch * adapter.layout.merge
    frames, sounds = zip(*(processor_cases.generate(m, processor_cases.seed_of(case, n)) for n, m in enumerate(media)))
    pictures = [Image.fromarray(f[0].transpose(1, 2, 0)) for m, f in zip(media, frames) if m.kind == "image"]
    videos = [resized(torch.from_numpy(f), factor) for m, f in zip(media, frames) if m.kind == "video"]
    interleaved = any(m.kind == "video" and m.samples for m in media)
    size = {"shortest_edge": processor_cases.LIMITS["min_pixels"], "longest_edge": processor_cases.LIMITS["max_pixels"]}
    video = {"size": size, "fps": media[0].fps, "use_audio_in_video": interleaved, "cap_pixels_per_frame": False}
    batch = processor(
        text=processor_cases.chat(processor_cases.question_of(case), processor_cases.SYSTEM_PROMPT, processor.tokenizer),
        images=pictures or None,
        videos=videos or None,
        audio=[s for s in sounds if s is not None] or None,
        images_kwargs={"size": size},
        videos_kwargs={**video, "do_sample_frames": False},
        return_tensors="pt",
    )
    mask = batch.get("feature_attention_mask", torch.zeros(0, 0))
    grids = [batch.get(f"{kind}_grid_thw") for kind in ("image", "video")]
    seconds = batch.get("video_second_per_grid")
    positions, _ = adapter.model.get_rope_index(
        batch["input_ids"], *grids, batch["attention_mask"], interleaved, mask.sum(1).long(), seconds
    )
    pixels = [batch[n].flatten() for n in ("pixel_values", "pixel_values_videos") if n in batch]
    mel = [f[:, m.bool()].flatten() for f, m in zip(batch.get("input_features", ()), mask)]
    joined = {name: torch.cat(parts) if parts else torch.zeros(0) for name, parts in (("pixels", pixels), ("mel", mel))}
    with processor_cases.one_by_one(adapter.model):
        logits = adapter.model(**batch, use_audio_in_video=interleaved).logits[0, -1]
    return {"ids": batch["input_ids"][0], "positions": positions[:, 0], **joined}, logits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=processor_cases.FAMILIES, default="qwen_omni")
    parser.add_argument("--record", help="npz to write the official outputs to")
    arguments = parser.parse_args()
    worst, record = dict.fromkeys(TOLERANCE, 0.0), {}
    with tempfile.TemporaryDirectory() as folder:
        adapter = processor_cases.random_adapter(folder, arguments.family)
    processor = official_processor(adapter.tokenizer, arguments.family)
    for case in processor_cases.FAMILIES[arguments.family].cases:
        expected, logits = officially(adapter, processor, case)
        record[case] = processor_cases.as_recorded(expected)
        sequence, inputs = processor_cases.ours(adapter, case)
        found = processor_cases.differences(inputs, expected)
        mask = causal_mask(len(sequence))[None]
        last = masked_run(adapter, sequence, lambda _, m=mask: m)[0]
        found["logits"] = float((last - logits).abs().max() / logits.abs().max())
        print(f"{case:42}" + "".join(f"  {name} {value:.1e}" for name, value in found.items()), flush=True)
        worst = {name: max(worst[name], found[name]) for name in worst}
    print(f"{'largest of all':42}" + "".join(f"  {name} {value:.1e}" for name, value in worst.items()))
    if arguments.record:
        processor_cases.write_record(arguments.record, record)
        print(f"{arguments.record}: {len(record)} cases, {os.path.getsize(arguments.record)} bytes")
    if not all(worst[name] <= limit for name, limit in TOLERANCE.items()):  # written so that NaN fails, too
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
