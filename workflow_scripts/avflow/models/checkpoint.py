"""Read a checkpoint folder: config.json, the safetensors files that its index names, and a tokenizer. Each fault is one line.

An incomplete download is found here, before a network is built. transformers would fill missing tensors with random numbers. For
a config.json that it does not know, it would build the default network of ten billion parameters.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..errors import InputError
from ..storage import manifest
from .light_transformers import AutoTokenizer


def _json(folder: Path, name: str):
    """The object in a JSON file. Raises FileNotFoundError, and InputError if the file holds no JSON object."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder}: {name} is not JSON ({error}); download the checkpoint again") from None
    if not isinstance(found, dict):
        raise InputError(f"{folder}: {name} holds no JSON object; download the checkpoint again")
    return found


def read_config(folder: Path, family: str) -> dict:
    """config.json as a dict. Raises InputError if it is missing or broken, or if a file of the folder's manifest is gone.

    family: the family whose checkpoint belongs here, for the message. The type "mrope" of early configs becomes "default", its
    name since then: what rotates with time, height and width is said by `mrope_section`.
    """
    manifest.check(folder, "download_weights")
    try:
        return _renamed_rope(_json(folder, "config.json"))
    except OSError:
        remedy = manifest.remedy("download_weights", folder)
        raise InputError(f"{folder}: no config.json; give the folder of a {family} checkpoint; {remedy}") from None


def read_colours(folder: Path) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each colour, by which the checkpoint's processor normalises pixels. Raises InputError."""
    name = "preprocessor_config.json"
    try:
        known = _json(folder, name)
    except OSError:
        raise InputError(f"{folder}: {name} is missing; download the checkpoint again") from None
    if not {"image_mean", "image_std"} <= known.keys():
        raise InputError(f"{folder}: {name} has no image_mean or no image_std; download the checkpoint again")
    return known["image_mean"], known["image_std"]


def _renamed_rope(part):
    """The same JSON with every rotary embedding of type "mrope" called "default"."""
    if isinstance(part, list):
        return [_renamed_rope(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    changed = {key: "default" for key in ("type", "rope_type") if "mrope_section" in part and part.get(key) == "mrope"}
    return {key: _renamed_rope(value) for key, value in part.items()} | changed


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a folder. Raises InputError if a file is missing or cut off, or if the index is broken."""
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
            safe_open(str(file), "pt").__exit__(None, None, None)  # reads the header and compares it with the file's size
        except SafetensorError as error:
            raise InputError(f"{file}: not a whole safetensors file ({error}); download the checkpoint again") from None
    return files


def read_tokenizer(folder: Path):
    """The checkpoint's tokenizer. Raises InputError if it cannot be read."""
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{folder}: its tokenizer cannot be read ({first}); download the checkpoint again") from None
