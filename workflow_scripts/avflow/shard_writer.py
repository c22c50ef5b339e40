"""Writing a safetensors file tensor by tensor, so that a shard of many gigabytes is never in memory.

The header of such a file says where every tensor lies and comes first. So room is left for it, pictures follow as they come, and
it is written last, filled up with the blanks that the format allows. Numbers of several bytes must lie at multiples of their
size, and the format allows no gaps between tensors: they are kept until the end, the widest first.
"""

import json
import os
import struct
from pathlib import Path

import numpy as np

from .errors import InputError

NAMES = {"uint8": "U8", "int64": "I64", "float32": "F32", "float64": "F64"}
LENGTH = struct.Struct("<Q")


class ShardWriter:
    """Takes named arrays. Use as a context manager; the file appears only when all went well."""

    def __init__(self, path, room: int, metadata: dict[str, str]):
        """room: bytes for the header, some 200 a tensor."""
        self.path, self.part, self.metadata = Path(path), Path(f"{path}.part"), metadata
        self.room, self.entries, self.kept, self.end = room + -room % 8, {}, [], 0

    def __enter__(self):
        self.file = open(self.part, "wb")
        self.file.seek(LENGTH.size + self.room)
        return self

    def add(self, name: str, array: np.ndarray) -> None:
        """Write an array of bytes behind the others; keep a smaller one of wider numbers for the end."""
        if array.dtype.itemsize == 1:
            self._write(name, array)
        else:
            self.kept.append((name, array))

    def _write(self, name: str, array: np.ndarray) -> None:
        start, self.end = self.end, self.end + array.nbytes
        self.entries[name] = {"dtype": NAMES[str(array.dtype)], "shape": list(array.shape), "data_offsets": [start, self.end]}
        self.file.write(np.ascontiguousarray(array).data)

    def _finish(self) -> None:
        if self.kept and self.end % 8:
            self._write("padding/bytes", np.zeros(-self.end % 8, np.uint8))
        for name, array in sorted(self.kept, key=lambda one: -one[1].dtype.itemsize):
            self._write(name, array)
        header = json.dumps({"__metadata__": self.metadata, **self.entries}, separators=(",", ":")).encode()
        if len(header) > self.room:
            raise InputError(f"{self.path}: {len(header)} bytes of header do not fit into {self.room}; leave more room")
        self.file.seek(0)
        self.file.write(LENGTH.pack(self.room) + header.ljust(self.room))

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self.file.close()
            self.part.unlink()
            raise
        self.file.close()
        if kind is None:
            os.replace(self.part, self.path)
        else:
            self.part.unlink()
