"""Run the miniature in small on this machine's GPU, and hold its tables to the shipped ones. `make test-gpu` does it.

    python tests/gpu/run.py                          # prints one table of what agrees; exits with 1 if something does not
    python tests/gpu/run.py --pack gpu-media.tar     # only decode, on a machine whose Python has PyAV
    python tests/gpu/run.py --media gpu-media.tar    # the same test from those decoded shards, where it has not

Both families run through Snakemake in float32 and bfloat16, each job on a GPU that it claims: some 90 jobs in 18 minutes on an
H200, nearly all of it imports. `avflow/results/agreement.py` states the tolerances. Everything lies in results/gpu and logs/gpu.
"""

import argparse
import base64
import binascii
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow_scripts"))

import pandas as pd  # noqa: E402

from avflow import cli  # noqa: E402
from avflow.errors import InputError  # noqa: E402
from avflow.results import agreement  # noqa: E402
from avflow.storage import read_metadata  # noqa: E402

STUDY = "tests/gpu/study.yaml"
RESULTS, LOGS = Path("results/gpu"), Path("logs/gpu")
SHIPPED = ROOT / "figures/shipped/tables"
TABLES = ("evaluate", "reliance", "attention", "discard_sweep", "pruning", "sufficiency")
TABLES += tuple(f"knockout_figure_{n}" for n in (3, 4, 5, 6)) + ("knockout_question_words",)
DECODED = ("questions", "media", "datasets", "frames")  # what comes before the first job of a model
MODELS = {
    f"{name}{end}": (name, dtype)
    for end, dtype in (("", "float32"), ("-bf16", "bfloat16"))
    for name in ("tiny-omni", "tiny-salmonn")
}
CLAIMED = re.compile(r"^GPU \S+, (one of|given by Slurm)", re.MULTILINE)


def snakemake(*options, tables=TABLES) -> None:
    """Run Snakemake for these tables. Ends this program if it fails."""
    targets = [str(RESULTS / f"tables/{name}.parquet") for name in tables]
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", "all", *options, "--configfile", "config.yaml", STUDY]
    if code := subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(code)


def devices() -> int:
    """How many GPUs torch sees. Raises InputError if there are none."""
    import torch

    if not (found := torch.cuda.device_count()):
        built = torch.version.cuda
        why = "the driver shows none, or is too old for it" if built else "this build of torch has no CUDA"
        raise InputError(f"torch {torch.__version__} sees no GPU: {why}; try nvidia-smi, or --on-cpu to try the test without one")
    return found


def metadata_of(study_files: str) -> list[Path]:
    """Snakemake's records of finished files below a folder, without which it would make them again."""
    found, root = [], ROOT / ".snakemake/metadata"
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = "".join(part.removeprefix("@") for part in path.relative_to(root).parts)
        try:
            told = base64.urlsafe_b64decode(name).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        found += [path] if told.startswith(study_files) else []
    return found


def pack(out: Path) -> None:
    """Write what the jobs of models read, with dates, so that another machine goes on from there."""
    with tarfile.open(out, "w") as tar:
        for path in (*(ROOT / RESULTS / name for name in DECODED), *metadata_of(str(RESULTS))):
            tar.add(path, path.relative_to(ROOT))
    print(f"{out}: {out.stat().st_size / 1e6:.0f} MB; carry it to the machine with the GPU, and name it with --media")


def jobs(results: Path, logs: Path) -> list[dict]:
    """Lines of the table: did every job of a model run in its precision, on a GPU, and on one that it claimed?"""
    lines = []
    for model, (like, dtype) in MODELS.items():
        shards = [p for p in sorted(results.glob(f"*/{model}/**/*.parquet")) if "tables" not in p.relative_to(results).parts]
        told = [read_metadata(path) for path in shards]
        log = [path.read_text(errors="replace") for path in sorted(logs.glob(f"*/{model}/**/*.log"))]
        shares = {
            "jobs on a GPU": [facts.get("device") not in (None, "cpu") for facts in told],
            f"jobs in {dtype}": [facts.get("dtype") == dtype for facts in told],
            "logs that name the claimed GPU": [bool(CLAIMED.search(text)) for text in log],
        }
        for measure, right in shares.items():
            share = sum(right) / len(right) if right else 0.0
            about = dict(table="all", model=like, precision=dtype, measure=measure)
            lines.append(about | dict(n=len(right), found=share, allowed=1.0, agrees=share == 1.0))
    return lines


def shown(lines: pd.DataFrame) -> str:
    """The table that a person reads."""
    lines = lines.assign(agrees=lines["agrees"].map({True: "yes", False: "NO"}))
    return lines.to_string(index=False, float_format=lambda number: f"{number:.4g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, metavar="FILE", help="decode the media, write them to a tar file, and stop")
    parser.add_argument("--media", type=Path, metavar="FILE", help="start from such a file")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES, help="only these; default: all")
    parser.add_argument("--on-cpu", action="store_true", help="try the test without a GPU; the lines about jobs then say NO")
    parser.add_argument("--dry-run", action="store_true", help="only show the jobs")
    arguments = parser.parse_args()
    if arguments.media:
        if not arguments.media.is_file():
            raise InputError(f"{arguments.media} does not exist; --pack writes it on a machine whose Python has PyAV")
        with tarfile.open(arguments.media) as tar:
            tar.extractall(ROOT, filter="data")
    if arguments.dry_run:
        return snakemake("--dry-run", tables=arguments.tables)
    if arguments.pack:
        snakemake("--until", "preprocess_media", tables=arguments.tables)
        return pack(arguments.pack)
    count = 1 if arguments.on_cpu else devices()
    snakemake("--resources", f"gpu={count}", "download=1", tables=arguments.tables)
    compared = agreement.table(ROOT / RESULTS / "tables", SHIPPED, MODELS, arguments.tables)
    lines = pd.concat([pd.DataFrame(jobs(ROOT / RESULTS, ROOT / LOGS)), compared], ignore_index=True)
    lines.to_csv(ROOT / RESULTS / "agreement.csv", index=False)
    wrong = (~lines["agrees"]).sum()
    print(f"{shown(lines)}\n\n{len(lines) - wrong} of {len(lines)} agree; the same in {RESULTS / 'agreement.csv'}")
    sys.exit(int(wrong > 0))


if __name__ == "__main__":
    cli.run(main)
