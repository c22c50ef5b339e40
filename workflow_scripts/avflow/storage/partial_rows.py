"""Result rows that survive a kill: a side file takes every finished question, a parquet file appears when all are there.

`<out>.partial` holds a header and checksummed records. The header names everything that decides a row's values: code, inputs,
parameters. It does not name what is asked. A file with another header is started anew. Each record holds rows of one question;
a question gets another record when a later run asks for more. A record that a kill tore or a disk damaged is left out, and only
its rows are computed again. One process at a time holds the file.

Snakemake deletes declared outputs before a job starts and after it fails. So the side file is not declared, and it stays when
the job is done: a later run finds its rows, and computes only those that are new.
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
        self.records: dict[str, list[bytes]] = {}  # of each question, and of each "#fact"
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
                self.records.setdefault(name.decode(), []).append(record)
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
        self._keep(f"#{name}", json.dumps(fact).encode())

    def recall(self, name: str):
        """What was remembered under a name, in this run or in one that was killed; None if nothing was."""
        found = self.records.get(f"#{name}")
        return json.loads(found[-1]) if found else None

    def add(self, question_id: str, rows: list[dict]) -> None:
        """Keep rows of a question, behind those that it has; they are on disk when this returns."""
        sink = io.BytesIO()
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        self._keep(question_id, sink.getvalue())

    def _keep(self, name: str, record: bytes):
        self.records.setdefault(name, []).append(record)
        self._write(name.encode() + b"\0" + record)

    def _tables(self, question_id: str) -> list[pa.Table]:
        return [pa.ipc.open_stream(record).read_all() for record in self.records.get(question_id, [])]

    def rows_of(self, question_id: str, columns: list[str] | None = None) -> list[dict]:
        """A question's rows as they were given to `add`, in that order; columns: only these."""
        tables = self._tables(question_id)
        return [row for table in tables for row in (table.select(columns) if columns else table).to_pylist()]

    def finish(self, question_ids, schema: pa.Schema, metadata: dict, picked: dict | None = None) -> pa.Table:
        """Write the parquet, rows in the order of `question_ids`, `metadata` as JSON under the key "avflow".

        picked: question -> numbers of its rows that are taken, in this order, counted as in `rows_of`; None takes all rows.
        """
        tables = [schema.empty_table()]
        for question_id in question_ids:
            table = pa.concat_tables(table.select(schema.names).cast(schema) for table in self._tables(question_id))
            tables.append(table.take(picked[question_id]) if picked else table)
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
