"""A checkpoint folder: config.json, the safetensors files that its index names, a tokenizer; every fault is one line.

A folder that was half downloaded is found here, before a network is built: transformers would fill what is missing with random
numbers, or build the default network of ten billion parameters for a config.json that it does not know.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer

from ..errors import InputError
from ..storage import manifest


def _json(folder: Path, name: str):
    """The parsed contents of a JSON file. Raises FileNotFoundError, InputError."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder}: {name} is not JSON ({error}); download the checkpoint again") from None
    if not isinstance(found, dict):
        raise InputError(f"{folder}: {name} holds no JSON object; download the checkpoint again")
    return found


def read_config(folder: Path, family: str) -> dict:
    """config.json as a dict. Raises InputError, naming the family whose checkpoints belong here, or a file that has gone."""
    manifest.check(folder, "download_weights")
    try:
        return _json(folder, "config.json")
    except OSError:
        remedy = manifest.remedy("download_weights", folder)
        raise InputError(f"{folder}: no config.json; give the folder of a {family} checkpoint; {remedy}") from None


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a folder. Raises InputError when one of those that the index names is missing or cut off."""
    index = "model.safetensors.index.json"
    files = [folder / "model.safetensors"]
    if (folder / index).is_file():
        named = _json(folder, index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise InputError(f"{folder}: {index} has no 'weight_map'; download the checkpoint again")
        files = [folder / name for name in sorted(set(named.values()))]
    for file in files:
        if not file.is_file():
            raise InputError(f"{folder}: {file.name} is missing; download the checkpoint again")
        try:
            safe_open(str(file), "pt").__exit__(None, None, None)  # reads the header, and compares it with the file's size
        except SafetensorError as error:
            raise InputError(f"{file}: not a whole safetensors file ({error}); download the checkpoint again") from None
    return files


def read_tokenizer(folder: Path):
    """The checkpoint's tokenizer. Raises InputError."""
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{folder}: its tokenizer cannot be read ({first}); download the checkpoint again") from None
