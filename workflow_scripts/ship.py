"""Keep the tables that the miniature's figures and claims are made from, small enough for git. Run it as `make ship`.

    python workflow_scripts/ship.py --results results/miniature --out figures/shipped

Knockout tables lose the columns that no figure reads. `where` keeps only the cuts in all layers, which claims read. Numbers are
rounded to 12 binary digits (1 in 8,000), except those of uncut runs, whose last digits give the noise floor. Of the world, only
the clip and the matching question of `app_world` are kept.

`snakemake figures --config tables=shipped` redraws the figures from these files. Takes about half a minute and 6 MB.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from avflow import cli
from avflow.errors import InputError
from avflow.questions import read_questions, write_questions
from avflow.storage import FeatureStore, ShardWriter, room_for

UNREAD = ["study_split", "setting", "n_blocked_edges", "removed_mass", "base_token", "logp_gold", "kl"]  # of knockout tables
UNREAD += [*(f"logit_{letter}" for letter in "ABCD"), "option_logits"]
UNREAD += ["logp_reply_mean", "logp_reply_tokens", "logp_reply_mean_clean", "logp_reply_tokens_clean"]
READ = {  # but these of some tables are read
    "conflict": ["logp_gold"],
    "knockout_sinks": ["removed_mass", "n_blocked_edges"],
}
EXACT = ["p_base_clean", "margin_clean", "logp_reply_clean"]  # of uncut runs
UNSHIPPED = ["sensitivity"]  # only a figure on request reads it


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 numbers rounded to 12 binary digits after the first. NaN stays NaN."""
    bits = values.astype(np.float32).view(np.uint32)
    return np.where(np.isnan(values), np.float32(np.nan), ((bits + 0x400) & 0xFFFFF800).view(np.float32))


def slim(table: pa.Table, name: str = "") -> pa.Table:
    """A table without the columns that no figure reads, and with rounded numbers. Rows of uncut runs are not rounded.

    name: of the table, as `READ` has it.
    """
    if name == "where":
        table = table.filter((pc.field("cut") == "mask") & ((pc.field("style") == "top_down") | (pc.field("control") == "null")))
        table = table.drop_columns(["shape", "values"])
    cut = "control" in table.column_names and "n_blocked_edges" in table.column_names
    if cut:
        table = table.drop_columns([column for column in UNREAD if column not in READ.get(name, [])])
    elif "option_logits" in table.column_names and table["option_logits"].null_count == len(table):
        table = table.drop_columns(["option_logits"])
    null = np.array(table["control"]) == "null" if cut else np.zeros(len(table), bool)
    for i, field in enumerate(table.schema):
        if field.type == pa.float32() and field.name not in EXACT:
            values = table[field.name].to_numpy()
            numbers = np.where(null, values, rounded(values))
            table = table.set_column(i, field, pa.array(numbers, pa.float32(), mask=np.isnan(values)))
        elif pa.types.is_list(field.type) and pa.types.is_floating(field.type.value_type):
            flat = table[field.name].combine_chunks()
            values = pa.array(rounded(flat.flatten().to_numpy()), pa.float32())
            table = table.set_column(i, field, pa.ListArray.from_arrays(flat.offsets, values, mask=flat.is_null()))
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write a table as parquet, as small as possible."""
    floats = [f.name for f in table.schema if pa.types.is_floating(f.type) and f.name not in EXACT]
    rest = [f.name for f in table.schema if f.name not in floats and not pa.types.is_list(f.type)]
    settings = {"use_dictionary": rest, "use_byte_stream_split": floats, "store_schema": False}
    pq.write_table(table, path, compression="brotli", compression_level=11, **settings)


def world(results: Path, out: Path) -> None:
    """Keep the first clip of mini-video with its questions, the last matching question of mini-items, and their media."""
    for dataset, last in (("mini-video", False), ("mini-items", True)):
        asked = read_questions(results / f"questions/{dataset}.jsonl")
        shown = asked[-1] if last else asked[0]
        write_questions([q for q in asked if q.cluster == shown.cluster], out / f"questions/{dataset}.jsonl")
        for frames in sorted(results.glob(f"frames/{dataset}/omni-*/0.safetensors")):
            media = FeatureStore(frames, "np").of(shown)
            tensors = {f"{name}/{part}": tensor for name, of in media.items() for part, tensor in of.items()}
            target = out / frames.relative_to(results)
            target.parent.mkdir(parents=True, exist_ok=True)
            with ShardWriter(target, room_for(tensors), {}) as shard:
                for name, tensor in tensors.items():
                    shard.add(name, tensor)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results folder of a finished miniature")
    parser.add_argument("--out", type=Path, required=True, help="folder to replace")
    arguments = parser.parse_args()
    tables = [p for p in sorted(arguments.results.glob("tables/*.parquet")) if p.stem not in UNSHIPPED]
    if not tables:
        raise InputError(f"{arguments.results}/tables holds no tables; run snakemake first")
    part = arguments.out.with_name(f"{arguments.out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("tables", "questions"):
        (part / name).mkdir(parents=True)
    for path in tables:
        write(slim(pq.read_table(path), path.stem), part / "tables" / path.name)
    for path in sorted(arguments.results.glob("questions/*.dropped.tsv")):
        shutil.copyfile(path, part / "questions" / path.name)
    world(arguments.results, part)
    shutil.rmtree(arguments.out, ignore_errors=True)
    part.replace(arguments.out)
    print(f"{arguments.out}: {sum(p.stat().st_size for p in arguments.out.rglob('*') if p.is_file()) / 1e6:.1f} MB")


if __name__ == "__main__":
    cli.run(main)
