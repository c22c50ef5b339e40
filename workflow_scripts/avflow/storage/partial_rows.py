"""Result rows that survive a kill: a side file takes every finished question, a parquet file appears when all are there.

`<out>.partial` holds a header that says what its rows are worth (parameters, code, inputs) and one checksummed record a
question. Another header starts it anew; a record torn by a kill or damaged on the disk is left out, and only its question is
asked again. One process at a time holds it. Snakemake deletes declared outputs before a job starts and after it fails, so the
side file is not declared, and it stays when the job is done: a rerun that changes nothing about the rows, after a new comment
say, finds them all there.
"""

import contextlib
import io
import json
import os
import struct
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .whole_files import alone, naming, whole

FRAME = struct.Struct("<II")  # length and crc32 of the payload that follows
MAGIC = b"avflow rows 1\n"


class PartialRows:
    """Rows of finished questions, kept in a side file. Use as a context manager.

    Waits while another process holds it. Raises OSError with the file's name where the disk is full or cannot be written; what
    was finished before is kept.
    """

    def __init__(self, out, header: dict):
        """out: the parquet to be; header: everything that makes rows valid, compared as JSON."""
        self.out, self.path = Path(out), Path(f"{out}.partial")
        self.records: dict[str, bytes] = {}
        wanted = json.dumps(header, sort_keys=True).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = alone(self.path)
        end = self._read(wanted)
        with naming(self.path):
            self.file.truncate(end)
            self.file.seek(end)
        if not end:
            self._write(wanted, MAGIC)

    def _read(self, wanted: bytes) -> int:
        """Load whole records; returns where the last of them ends, or 0 if the file belongs to another header."""
        if self.file.read(len(MAGIC)) != MAGIC:
            return 0
        end, damaged = 0, 0
        while len(frame := self.file.read(FRAME.size)) == FRAME.size:
            length, checksum = FRAME.unpack(frame)
            payload = self.file.read(length)
            if len(payload) < length:
                break
            right = zlib.crc32(payload) == checksum
            if not end and not (right and payload == wanted):  # the header
                return 0
            if not right:
                damaged += 1
                continue
            if end:
                name, _, record = payload.partition(b"\0")
                self.records[name.decode()] = record
            end = self.file.tell()
        if damaged:
            print(f"{self.path}: {damaged} damaged records are left out, their questions are asked again", file=sys.stderr)
        return end

    def _write(self, payload: bytes, before: bytes = b""):
        with naming(self.path):
            self.file.write(before + FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
            self.file.flush()
            os.fsync(self.file.fileno())

    @property
    def done(self) -> set[str]:
        return {name for name in self.records if not name.startswith("#")}

    def remember(self, name: str, fact) -> None:
        """Keep a fact (JSON) beside the rows, on disk when this returns; the last of a name counts."""
        self.records[f"#{name}"] = json.dumps(fact).encode()
        self._write(f"#{name}".encode() + b"\0" + self.records[f"#{name}"])

    def recall(self, name: str):
        """What was remembered under a name, in this run or in one that was killed; None if nothing was."""
        found = self.records.get(f"#{name}")
        return json.loads(found) if found else None

    def add(self, question_id: str, rows: list[dict]) -> None:
        """Keep a finished question's rows; they are on disk when this returns."""
        sink = io.BytesIO()
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        self.records[question_id] = sink.getvalue()
        self._write(question_id.encode() + b"\0" + sink.getvalue())

    def rows_of(self, question_id: str) -> list[dict]:
        """A finished question's rows as they were given to `add`."""
        return pa.ipc.open_stream(self.records[question_id]).read_all().to_pylist()

    def finish(self, question_ids, schema: pa.Schema, metadata: dict) -> pa.Table:
        """Write the parquet, rows in the order of `question_ids`, `metadata` as JSON under the key "avflow"."""
        tables = [schema.empty_table()]
        for question_id in question_ids:
            table = pa.ipc.open_stream(self.records[question_id]).read_all()
            tables.append(table.select(schema.names).cast(schema))
        table = pa.concat_tables(tables).replace_schema_metadata({"avflow": json.dumps(metadata, sort_keys=True)})
        write_parquet(table, self.out)
        return table

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # what could not be written was reported, and its buffer is tried again here
            self.file.close()


def write_parquet(table: pa.Table, path) -> None:
    """Write a table so that the file appears only when it is whole."""
    with whole(path) as part:
        pq.write_table(table, part, compression="zstd")


def read_metadata(path) -> dict:
    """What `finish` recorded about a parquet file."""
    return json.loads(pq.read_schema(path).metadata[b"avflow"])


def schema(**columns: str) -> pa.Schema:
    """A schema from column names and the short type names string, int32, int64, float32, float64, bool."""
    return pa.schema([(name, getattr(pa, kind + "_" if kind == "bool" else kind)()) for name, kind in columns.items()])
