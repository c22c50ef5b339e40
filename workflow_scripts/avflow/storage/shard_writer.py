"""Write a safetensors file tensor by tensor, so that a shard of many gigabytes is never in memory.

* A safetensors file begins with a header that gives every tensor's position. The writer leaves room for the header and writes it
  last, padded with the blanks that the format allows. Byte tensors (pictures) are written as they come.
* Numbers of several bytes must start at multiples of their size, and the format allows no gaps between tensors. So wider tensors
  are kept until the end and written widest first.
* The header's metadata holds a checksum of every tensor. The format itself has none, and a flipped bit would become a result.
"""

import contextlib
import json
import struct
import zlib
from pathlib import Path

import torch

from ..errors import InputError
from .whole_files import whole

NAMES = {torch.uint8: "U8", torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16"}
NAMES |= {torch.float32: "F32", torch.float64: "F64"}
LENGTH = struct.Struct("<Q")


def room_for(names) -> int:
    """A number of bytes that is enough for the header of tensors with these names."""
    return 1000 + sum(250 + 2 * len(name) for name in names)


class ShardWriter:
    """Writes named arrays or tensors. Use as a context manager. The file appears only if no error occurs."""

    def __init__(self, path, room: int, metadata: dict[str, str]):
        """room: bytes reserved for the header, see `room_for`. metadata: stored in the header."""
        self.path, self.metadata = Path(path), metadata
        self.room, self.entries, self.sums, self.kept, self.end = room + -room % 8, {}, {}, [], 0

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        part = self.stack.enter_context(whole(self.path))
        self.file = self.stack.enter_context(open(part, "r+b"))
        self.file.seek(LENGTH.size + self.room)
        return self

    def add(self, name: str, array) -> None:
        """Append an array of bytes to the file. An array of wider numbers is kept in memory until the end."""
        tensor = torch.as_tensor(array)
        if tensor.element_size() == 1:
            self._write(name, tensor)
        else:
            self.kept.append((name, tensor))

    def _write(self, name: str, tensor: torch.Tensor) -> None:
        start, self.end = self.end, self.end + tensor.nbytes
        self.entries[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, self.end]}
        data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
        self.sums[name] = zlib.crc32(data)
        self.file.write(data)

    def _finish(self) -> None:
        if self.kept and self.end % 8:
            self._write("padding/bytes", torch.zeros(-self.end % 8, dtype=torch.uint8))
        for name, tensor in sorted(self.kept, key=lambda one: -one[1].element_size()):
            self._write(name, tensor)
        metadata = {**self.metadata, "crc32": json.dumps(self.sums)}
        header = json.dumps({"__metadata__": metadata, **self.entries}, separators=(",", ":")).encode()
        if len(header) > self.room:
            raise InputError(f"{self.path}: {len(header)} bytes of header do not fit into {self.room}; reserve more room")
        self.file.seek(0)
        self.file.write(LENGTH.pack(self.room) + header.ljust(self.room))
        self.file.flush()

    def __exit__(self, _, error, __):
        with self.stack:
            if error is not None:
                raise error
            self._finish()
