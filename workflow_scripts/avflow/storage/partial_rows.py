"""Result rows that survive a kill. A side file stores every finished question; a parquet file appears when all are finished.

`<out>.partial` holds a header and records with checksums.

* The header names everything that decides a row's values: code, inputs and parameters. It does not name the questions asked. A
  file with a different header is overwritten.
* Each record holds rows of one question, or of several that were asked together, and facts about them. If a later run asks for
  more of a question, the question gets another record.
* A record that is incomplete or damaged is skipped, and only its rows are computed again. Questions that were asked together are
  then asked together again: alone, their rows would differ by rounding.
* One process at a time holds the file.

Snakemake deletes declared outputs before a job starts and after it fails. So the side file is not declared, and it stays after
the job: a later run finds its rows and computes only new ones.
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
PART = struct.Struct("<I")  # length of what follows: the name of an entry, a zero byte and the entry
MAGIC = b"avflow rows 2\n"


class PartialRows:
    """Rows of finished questions, stored in a side file. Use as a context manager.

    Waits while another process holds the file. Raises OSError with the file's name if it cannot be written, for example because
    the disk is full; rows stored earlier are kept.
    """

    def __init__(self, out, header: dict):
        """out: path of the parquet file to write. header: everything that decides the rows' values, compared as JSON."""
        self.out, self.path = Path(out), Path(f"{out}.partial")
        self.records: dict[str, list[bytes]] = {}  # question id, or "#" and the name of a fact -> its entries
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
        """Load the complete records. Returns the position where the last one ends, or 0 if the file has another header."""
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
                self._take(payload)
            end = self.file.tell()
        if damaged:
            print(f"{self.path}: skipping {damaged} damaged records; their questions are computed again", file=sys.stderr)
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
        """Store a fact (JSON) beside the rows. It is on disk when this returns. The last fact of a name counts."""
        self.add({}, {name: fact})

    def recall(self, name: str):
        """The fact stored under a name, in this run or an earlier one. None if there is none."""
        found = self.records.get(f"#{name}")
        return json.loads(found[-1]) if found else None

    def add(self, rows: dict[str, list[dict]], facts: dict | None = None) -> None:
        """Append rows to those of each question, and store facts as `remember` does. A kill loses all of it, or nothing.

        It is on disk when this returns.
        """
        entries = {f"#{name}": json.dumps(fact).encode() for name, fact in (facts or {}).items()}
        entries.update((question_id, _stream(pa.Table.from_pylist(some))) for question_id, some in rows.items())
        parts = [name.encode() + b"\0" + entry for name, entry in entries.items()]
        payload = b"".join(PART.pack(len(part)) + part for part in parts)
        self._write(payload)
        self._take(payload)

    def _take(self, payload: bytes):
        """Put a record's entries beside the others."""
        for name, entry in entries(payload):
            self.records.setdefault(name, []).append(entry)

    def _tables(self, question_id: str) -> list[pa.Table]:
        return [pa.ipc.open_stream(record).read_all() for record in self.records.get(question_id, [])]

    def rows_of(self, question_id: str, columns: list[str] | None = None) -> list[dict]:
        """A question's rows, in the order in which `add` got them. columns: return only these columns."""
        tables = self._tables(question_id)
        return [row for table in tables for row in (table.select(columns) if columns else table).to_pylist()]

    def finish(self, question_ids, schema: pa.Schema, metadata: dict, picked: dict | None = None) -> pa.Table:
        """Write the parquet file, with rows in the order of `question_ids` and `metadata` as JSON under the key "avflow".

        picked: question -> the row numbers to take, in this order, counted as in `rows_of`. None takes all rows.
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
        with contextlib.suppress(OSError):  # a failed write was reported already; close() tries its buffer again
            self.file.close()


def entries(record: bytes):
    """Yield (name, bytes) of each entry of a record: a question's rows, or a fact under "#" and its name."""
    at = 0
    while at < len(record):
        begin = at + PART.size
        at = begin + PART.unpack_from(record, at)[0]
        name, _, entry = record[begin:at].partition(b"\0")
        yield name.decode(), entry


def _stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def write_parquet(table: pa.Table, path) -> None:
    """Write a table as parquet. The file appears only when it is complete."""
    with whole(path) as part:
        pq.write_table(table, part, compression="zstd")


def read_metadata(path) -> dict:
    """The metadata that `finish` stored in a parquet file."""
    return json.loads(pq.read_schema(path).metadata[b"avflow"])


def schema(**columns: str) -> pa.Schema:
    """A schema from column names and short type names: string, int32, int64, float32, float64 or bool."""
    return pa.schema([(name, getattr(pa, kind + "_" if kind == "bool" else kind)()) for name, kind in columns.items()])
