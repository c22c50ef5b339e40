"""Read the shards of `preprocess_media` and `extract_features`. Every tensor is checked against its checksum."""

import hashlib
import json
import mmap
import struct
import zlib

from safetensors import SafetensorError, safe_open

from ..errors import InputError


class FeatureStore:
    """The tensors of one shard by media id. Each is read when it is asked for.

    identity: the sha256 of the file's header. The header holds every tensor's name, shape and checksum, so files with different
    content have different identities.
    """

    def __init__(self, path, framework: str = "pt"):
        """framework: "pt" for torch tensors, "np" for numpy arrays. Raises InputError if the file is missing or incomplete."""
        self.path = path
        try:
            self.file = safe_open(str(path), framework)
            with open(path, "rb") as file:
                self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            (length,) = struct.unpack_from("<Q", self.bytes)
            self.first, header = 8 + length, self.bytes[8 : 8 + length]
            self.identity, self.entries = hashlib.sha256(header).hexdigest(), json.loads(header)
            self.metadata = self.entries.pop("__metadata__", {})
            self.sums = json.loads(self.metadata.get("crc32", "{}"))
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; make it with: snakemake {path} --cores all") from None
        except (SafetensorError, ValueError) as error:
            raise InputError(self._damaged(f"it is not a complete safetensors file ({error})")) from None
        self.names = {}
        for key in self.entries:
            media_id, name = key.rsplit("/", 1)
            self.names.setdefault(media_id, []).append(name)

    def _damaged(self, why: str) -> str:
        return f"{self.path} is damaged: {why}; delete it and make it again: snakemake {self.path} --cores all"

    def has(self, media_id: str, name: str) -> bool:
        return name in self.names.get(media_id, ())

    def get(self, media_id: str, name: str):
        """One tensor of one medium. Raises InputError if its checksum is wrong."""
        key = f"{media_id}/{name}"
        start, end = self.entries[key]["data_offsets"]
        with memoryview(self.bytes)[self.first + start : self.first + end] as written:
            if zlib.crc32(written) != self.sums.get(key):
                raise InputError(self._damaged(f"the checksum of {key} is wrong"))
        return self.file.get_tensor(key)

    def follow(self, questions) -> None:
        """Questions that `of` will be asked, in order. A file needs no preparation."""

    def of(self, question) -> dict[str, dict]:
        """media_id -> {name: tensor}, for every medium of a `Question`. Raises InputError if the shard lacks one."""
        missing = [m.media_id for m in question.media if m.media_id not in self.names]
        if missing:
            raise InputError(f"{self.path}: made for other questions, it lacks {missing[0]}; delete it and run again")
        return {m.media_id: {n: self.get(m.media_id, n) for n in self.names[m.media_id]} for m in question.media}
