"""Writing a safetensors file tensor by tensor, so that a shard of many gigabytes is never in memory.

The header of such a file says where every tensor lies and comes first. So room is left for it, pictures follow as they come, and
it is written last, filled up with the blanks that the format allows. Numbers of several bytes must lie at multiples of their
size, and the format allows no gaps between tensors: they are kept until the end, the widest first.

Every tensor's checksum stands in the header's metadata, for the format has none, and a flipped bit would become a result.
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
    """Bytes that suffice for the header of tensors of these names."""
    return 1000 + sum(250 + 2 * len(name) for name in names)


class ShardWriter:
    """Takes named arrays or tensors. Use as a context manager; the file appears only when all went well."""

    def __init__(self, path, room: int, metadata: dict[str, str]):
        """room: bytes for the header, see `room_for`."""
        self.path, self.metadata = Path(path), metadata
        self.room, self.entries, self.sums, self.kept, self.end = room + -room % 8, {}, {}, [], 0

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        part = self.stack.enter_context(whole(self.path))
        self.file = self.stack.enter_context(open(part, "r+b"))
        self.file.seek(LENGTH.size + self.room)
        return self

    def add(self, name: str, array) -> None:
        """Write an array of bytes behind the others; keep a smaller one of wider numbers for the end."""
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
            raise InputError(f"{self.path}: {len(header)} bytes of header do not fit into {self.room}; leave more room")
        self.file.seek(0)
        self.file.write(LENGTH.pack(self.room) + header.ljust(self.room))
        self.file.flush()

    def __exit__(self, _, error, __):
        with self.stack:
            if error is not None:
                raise error
            self._finish()
