"""Check whether this machine can run a study, before hours pass: one line per check, with what helps if it fails.

    snakemake check --config study=paper

Looks at GPU memory, driver, disk, pins, access to the hub, readers and, with --partitions, the partitions of a Slurm cluster.
Takes some seconds. Exits with code 2 if a check fails; what cannot be checked here is marked "?" and fails nothing.
"""

import argparse
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.hub import Backoff
from avflow.tracing import costs, disk_costs, readiness
from avflow.tracing.rates import Rates
from avflow.tracing.readiness import Finding
from avflow.tracing.study_costs import StudyCosts


def gpus_here() -> list[tuple[str, int]]:
    """(name, bytes) of each GPU that torch finds."""
    about = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [(one.name, one.total_memory) for one in about]


def driver_here() -> str | None:
    """The newest CUDA that the NVIDIA driver knows, such as "12.4"; None without a driver."""
    if not shutil.which("nvidia-smi"):
        return None
    said = subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout
    found = re.search(r"CUDA Version: *(\d+\.\d+)", said)
    return found[1] if found else None


def disk(arguments, shapes) -> list[Finding]:
    """Findings about the disk: what downloads and results are still to take, at their fullest."""
    folders = {True: arguments.downloads, False: arguments.results}
    if not any(model.get("gpus", 1) for model in arguments.settings["models"].values()):
        return [Finding("disk", None, "the sizes of a study on the CPU are not estimated; the miniature takes 1.5 GB")]
    try:
        facts = costs.facts_of(costs.rows_of(arguments.datasets))
        sweeps, stages, fitted = (json.loads(path.read_text()) for path in (arguments.sweeps, arguments.stages, arguments.fitted))
        study = StudyCosts(arguments.settings, shapes, facts, Rates(sweeps, stages, shapes, fitted["fitted"]), 0.5)
        parts = disk_costs.on_disk(study, arguments.pins)
    except InputError as error:
        return [Finding("disk", None, str(error))]
    needs = {}
    for download, folder in folders.items():
        sizes = [part.bytes for part in parts if part.download == download and not math.isnan(part.bytes)]
        there = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) if download else 0
        needs[folder] = max(0.0, sum(sizes) - there)
    return readiness.check_disk(needs, any(part.least for part in parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True)
    parser.add_argument("--settings", type=json.loads, required=True, help="models, datasets, .. as for estimate.py, JSON")
    parser.add_argument("--targets", type=json.loads, required=True, help="what comes from the hub, as for pin.py, JSON")
    parser.add_argument("--reader", required=True, help="the library that reads frames")
    parser.add_argument("--results", required=True, help="folder of the results")
    parser.add_argument("--downloads", required=True, help="folder of the downloads")
    parser.add_argument("--pins", type=Path, required=True, help="folder of the pins")
    parser.add_argument("--models", type=Path, required=True, help="csv of the decoders' shapes")
    parser.add_argument("--datasets", type=Path, required=True, help="csv of the datasets' sizes")
    parser.add_argument("--sweeps", type=Path, required=True, help="measured sweeps, JSON")
    parser.add_argument("--stages", type=Path, required=True, help="measured stages, JSON")
    parser.add_argument("--fitted", type=Path, required=True, help="rates that are fitted to the stages, JSON")
    parser.add_argument("--partitions", type=Path, help="partitions of a Slurm cluster, YAML")
    parser.add_argument("--jobs", type=json.loads, default={}, help="kind of job -> mem_mb, runtime, gpu, JSON")
    arguments = parser.parse_args()
    models, shapes = arguments.settings["models"], costs.shapes_of(costs.rows_of(arguments.models))
    wanted = any(model.get("gpus", 1) for model in models.values())
    found = readiness.check_gpus(models, arguments.settings["sampling"], shapes, gpus_here())
    found.append(readiness.check_driver(torch.version.cuda, driver_here(), torch.cuda.is_available(), wanted))
    found += disk(arguments, shapes)
    found += readiness.check_pins({n: t["repo"] for n, t in arguments.targets.items()}, arguments.pins, arguments.study)
    kept = lambda name, target: Path(arguments.downloads, f"{target['repo_type']}s", name, "manifest.json").is_file()  # noqa: E731
    absent = [target for name, target in arguments.targets.items() if not kept(name, target)]
    found += readiness.check_access(absent, Backoff(tries=2))
    found += readiness.check_readers(arguments.reader)
    if arguments.partitions:
        configured = readiness.read_partitions(arguments.partitions)
        here = readiness.partitions_here()
        found += readiness.check_partitions(configured, here, arguments.jobs, str(arguments.partitions))
    print(*found, sep="\n", flush=True)
    failed = sum(finding.fits is False for finding in found)
    if failed:
        raise InputError(f"{failed} of {len(found)} checks failed; each line above says what helps")


if __name__ == "__main__":
    cli.run(main)
