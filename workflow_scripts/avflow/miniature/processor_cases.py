"""Generated media with every kind of difficulty, to compare an Omni adapter with the official processor.

`ours` returns what the adapter makes of a case: tokens, positions, and the pixels and spectrograms that the encoders get.
`check_processor.py` records what transformers' processor makes of the same case, so tests need no torchvision.
"""

import json
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import (
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)
from transformers.utils import logging

from ..media import encoder_inputs, sampling
from ..models import Adapter, Qwen3Omni, QwenOmni, prompt
from ..questions import MediaItem, Option, Question
from ..storage import whole
from . import tiny_omni, tiny_qwen3_omni

SYSTEM_PROMPT = "You are a helpful assistant."
SAMPLE = 400  # values recorded per array of pixels or spectrograms


@dataclass(frozen=True)
class Medium:
    """A medium to generate. shape: (frames, height, width) or None. samples: of sound at 16 kHz, or None. fps: of the frames."""

    kind: str
    shape: tuple[int, int, int] | None = None
    samples: int | None = None
    fps: float = 2.0


def _video(frames, samples, fps=2.0, size=(90, 160)):
    return (Medium("video", (frames, *size), samples, fps),)


_picture = lambda *size: Medium("image", (1, *size))
_sound = lambda samples: Medium("audio", None, samples)
CASES = {
    "sound and pictures are equally long": _video(8, 64000),
    "sound is longer": _video(6, 150007),
    "sound is shorter": _video(16, 40000),
    "sound is a frame longer than two seconds": _video(4, 32161),
    "an odd number of frames": _video(7, 64171),
    "one frame": _video(1, 8000),
    "tall and narrow": _video(6, 48000, size=(211, 67)),
    "smaller than a patch": _video(4, 32000, size=(9, 40)),
    "4 frames a second": _video(14, 56000, 4.0),
    "1 frame a second": _video(7, 112000, 1.0),
    "a frame every 1.5 s": _video(7, 168000, 2 / 3),
    "a frame every 2 s": _video(6, 192000, 1 / 2),
    "a frame every 3.5 s": _video(5, 280000, 2 / 7),
    "no sound": _video(9, None),
    "no sound, 1 frame a second": _video(9, None, 1.0),
    "sound reaches 300 s": _video(4, 4800000 - 50, size=(56, 56)),
    "sound beyond 300 s": _video(4, 4900000, size=(56, 56)),
    "picture refers to sounds": (*map(_sound, (16000, 1600, 1599, 481234)), _picture(300, 420)),
    "sound refers to pictures": (*(_picture(*s) for s in ((224, 224), (97, 301), (640, 360), (28, 28))), _sound(20001)),
    "sounds alone": tuple(map(_sound, (321, 480, 641, 16001, 31999))),
    "pictures alone": tuple(_picture(*s) for s in ((100, 130), (130, 100), (61, 200), (30, 30), (90, 90))),
    "silent clips refer to a sound": (*_video(4, None), *_video(6, None, size=(120, 60)), _sound(16000)),
    "clips with sound refer to each other": (*_video(4, 32000), *_video(6, 60000, size=(120, 60))),
}
EVERY = CASES | {  # those of Qwen3-Omni, too, whose positions need not be whole numbers
    "1.98 frames a second": _video(12, 97000, 1.98),
    "times that are no whole numbers": _video(7, 33333, 3.7),
    "sound ends before the second grid": _video(8, 4000),
    "a picture higher than the clip is long": _video(2, 3000, size=(400, 40)),
}
LIMITS = dict(min_pixels=56 * 56, max_pixels=112 * 112)  # per picture, after resizing


@dataclass(frozen=True)
class Family:
    """A family whose official processor is known. sizes: the module of a tiny network's config, tokens and chat template."""

    sizes: ModuleType
    network: type
    adapter: type
    cases: dict
    preprocessor: dict


FAMILIES = {
    "qwen_omni": Family(tiny_omni, Qwen2_5OmniThinkerForConditionalGeneration, QwenOmni, CASES, {}),
    "qwen3_omni": Family(
        tiny_qwen3_omni, Qwen3OmniMoeThinkerForConditionalGeneration, Qwen3Omni, EVERY, tiny_qwen3_omni.PREPROCESSOR
    ),
}


def generate(medium: Medium, seed: int):
    """Generate frames, uint8 (T, 3, H, W) or None, and sound, float32 (samples,) or None.

    Frames hold sharp edges and grain. The sound is noise, then silence, then noise that ends on a click. All values are drawn as
    integers, so every platform generates the same.
    """
    rng = np.random.default_rng(seed)
    frames = sound = None
    if medium.shape:
        count, height, width = medium.shape
        coarse = rng.integers(0, 192, (count, 3, -(-height // 12), -(-width // 12)))
        edges = coarse.repeat(12, 2).repeat(12, 3)[:, :, :height, :width]
        frames = (edges + rng.integers(0, 64, (count, 3, height, width))).astype(np.uint8)
    if medium.samples:
        n = medium.samples
        sound = rng.integers(-3000, 3000, n).astype(np.float32) / 32768
        sound[n // 3 : n // 2] = 0
        sound[-1] = 0.9
    return frames, sound


def question_of(case: str) -> Question:
    """A question about a case's media: as in Eq. 1 for one clip, else as in Eq. 3 with the last medium as the reference."""
    kinds = [m.kind for m in EVERY[case]]
    options = tuple(Option(label, text) for label, text in zip("ABCD", ("cat", "dog", "owl", "none\u2019s")))
    text = {"instruction": "Answer with a letter.", "question": "Which one is it?", "ending": "The best answer is:"}
    placed = lambda items: [{"seg": "media", "id": m.id} for m in items]
    said = lambda name: {"seg": "question" if name == "question" else "instruction", "text": text[name]}
    if len(kinds) == 1:
        media = [MediaItem("v1", "v1", kinds[0], "video", "")]
        layout = [*placed(media), said("instruction"), said("question"), {"seg": "options"}, said("ending")]
    else:
        media = [MediaItem(f"c{i}", f"c{i}", kind, "candidate", "", i) for i, kind in enumerate(kinds[:-1], 1)]
        media.append(MediaItem("r1", "r1", kinds[-1], "reference", ""))
        layout = [*placed(media[:-1]), said("question"), *placed(media[-1:]), {"seg": "options"}, said("ending")]
    return Question(
        question_id="q",
        dataset="d",
        setting="av_video",
        layout_name="made_up",
        task="t",
        group="t",
        needs="AV",
        question=text["question"],
        options=options,
        answer="A",
        media=tuple(media),
        layout=tuple(layout),
    )


def chat(question: Question, system_prompt: str, tokenizer) -> str:
    """The question as text from the chat template, which also writes the media's placeholders."""
    content, text = [], ""
    for piece in prompt._pieces(question, "")[1:-1]:
        if isinstance(piece, tuple):
            text += piece[1]
        else:
            content += [{"type": "text", "text": text}] if text else []
            content.append({"type": piece.kind, piece.kind: "file"})
            text = ""
    content.append({"type": "text", "text": text})
    messages = [{"role": "system", "content": system_prompt}, {"role": "user", "content": content}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def byte_tokenizer(merges=(), sizes=tiny_omni) -> Qwen2Tokenizer:
    """A Qwen2Tokenizer whose tokens are single bytes, special tokens, and the results of `merges` (pairs of tokens).

    It does not depend on the world's words. sizes: as in `Family`.
    """
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    return Qwen2Tokenizer(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=list(merges),
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"im_start_token": "<|im_start|>", **sizes.SPECIAL_TOKENS},
        chat_template=sizes.CHAT_TEMPLATE,
    )


def random_adapter(folder, family: str = "qwen_omni") -> Adapter:
    """The adapter for a tiny network with random weights. The network is saved to `folder` and loaded from there."""
    logging.disable_progress_bar()
    about = FAMILIES[family]
    made = byte_tokenizer(sizes=about.sizes)
    torch.manual_seed(0)
    network = about.network._from_config(about.sizes.config(made))
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1 and "embed" not in name:
            parameter.data.mul_(4)  # otherwise attention is nearly uniform and hides misplaced tokens
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            parameter.data.uniform_(0.5, 2)  # otherwise a norm that is left out or misplaced hardly shows
    network.save_pretrained(folder)
    made.save_pretrained(folder)
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(about.preprocessor))
    adapter = about.adapter(folder, SYSTEM_PROMPT)
    adapter.max_tokens = 32768  # as in the released checkpoints; some cases are longer than what the tiny network states
    return adapter


@contextmanager
def listening(network):
    """Record the encoders' inputs, in order. Yields lists: pixels (patches, pixels), grids (3,) and mel (128, frames)."""
    given = SimpleNamespace(pixels=[], grids=[], mel=[])
    originals = {name: getattr(network, f"get_{name}_features") for name in ("image", "video", "audio")}

    def keep(name):
        def call(inputs, fact):
            if name == "audio":
                given.mel.append(inputs[0])
            else:
                given.pixels.append(inputs)
                given.grids.append(fact[0])
            return originals[name](inputs, fact)

        return call

    for name in originals:
        setattr(network, f"get_{name}_features", keep(name))
    try:
        yield given
    finally:
        for name, original in originals.items():
            setattr(network, f"get_{name}_features", original)


@contextmanager
def one_by_one(network):
    """Let a network's audio encoder take each sound of a batch alone.

    Qwen3-Omni's encoder pads the last part of every sound to the longest part, and convolutions see what is added. So a sound of
    less than a second depends on the others in its batch.
    """
    original = network.get_audio_features

    def call(features, mask, *_, **options):
        each = [original(f[None, :, : int(m.sum())], m[None, : int(m.sum())], **options) for f, m in zip(features, mask)]
        return SimpleNamespace(last_hidden_state=torch.cat([one.last_hidden_state for one in each]))

    network.get_audio_features = call
    try:
        yield
    finally:
        network.get_audio_features = original


def ours(adapter: Adapter, case: str):
    """The `Sequence` that avflow makes of a case, and the network's inputs: ids, positions, pixels and mel."""
    question, found = question_of(case), {}
    with listening(adapter.model) as given:
        for n, (item, medium) in enumerate(zip(question.media, EVERY[case])):
            frames, sound = generate(medium, seed_of(case, n))
            if frames is not None:
                size = sampling.resized_shape(*frames.shape[-2:], adapter.patch * adapter.layout.merge, **LIMITS)
                resize = encoder_inputs.resize_video if item.kind == "video" else encoder_inputs.resize
                frames = resize(torch.from_numpy(frames), *size)
            sound = None if sound is None else torch.from_numpy(sound)
            found[item.media_id] = adapter.encode(item.kind, frames=frames, audio=sound, fps=medium.fps)
    sequence = adapter.sequence(question, found)
    inputs = dict(ids=sequence.ids, positions=sequence.positions)
    inputs["pixels"] = torch.cat([p.flatten() for p in given.pixels]) if given.pixels else torch.zeros(0)
    inputs["mel"] = torch.cat([m.flatten() for m in given.mel]) if given.mel else torch.zeros(0)
    return sequence, inputs


def seed_of(case: str, number: int) -> int:
    return zlib.crc32(f"{case}/{number}".encode())


def sampled(values) -> np.ndarray:
    """A summary of a long array: length, mean and at most `SAMPLE` evenly spaced values; float64 (2 + SAMPLE,) or shorter."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return np.zeros(1)
    at = np.unique(np.linspace(0, len(values) - 1, SAMPLE).round().astype(int))
    return np.concatenate([[len(values), values.mean()], values[at]])


def differences(found: dict, expected: dict) -> dict[str, float]:
    """name -> largest absolute difference. Infinite if the shapes differ."""
    largest = {}
    for name, value in expected.items():
        one, other = (np.asarray(x, dtype=np.float64) for x in (found[name], value))
        largest[name] = np.abs(one - other).max(initial=0.0) if one.shape == other.shape else np.inf
    return largest


def as_recorded(inputs: dict) -> dict[str, np.ndarray]:
    """What the record keeps of a case: all tokens and positions, and samples of pixels and spectrograms."""
    whole = {name: np.asarray(inputs[name]) for name in ("ids", "positions")}
    whole = {name: of.astype(np.int16 if (of % 1 == 0).all() else np.float32) for name, of in whole.items()}
    return {**whole, **{name: sampled(inputs[name]).astype(np.float32) for name in ("pixels", "mel")}}


def write_record(path, cases: dict) -> None:
    """Write an npz with one array per case/name. The file appears only when it is complete."""
    with whole(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, **{f"{case}/{name}": a for case, arrays in cases.items() for name, a in arrays.items()})


def read_record(path) -> dict[str, dict]:
    """case -> name -> array, as given to `write_record`."""
    cases = {}
    with np.load(path) as stored:
        for key in stored.files:
            case, name = key.rsplit("/", 1)
            cases.setdefault(case, {})[name] = stored[key]
    return cases
