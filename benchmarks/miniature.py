"""Measure what the miniature costs: CPU and wall seconds by script, what its imports take of that, and Snakemake's own share.

    .venv/bin/python benchmarks/miniature.py --out benchmarks/miniature.json
    .venv/bin/python benchmarks/miniature.py --before ../older-checkout --out benchmarks/miniature.json
    .venv/bin/python benchmarks/miniature.py --table benchmarks/miniature.json

Every run starts in a fresh copy of the committed files, with this environment. Python may keep what it has compiled, as in
`make reproduce`. Each script's process notes at its end its CPU seconds (user and system, with its children) and wall seconds.
Imports are measured apart: the CPU seconds of `<script> --help` (the median of three), times the number of jobs that import
themselves. The others are forks of a process that has imported already (rules/preloaded.smk). So are the kernels of notebooks,
which then have a line of their own. Snakemake's share is what remains of the CPU seconds of all processes, the loaded one
included. Arguments after `--` go to Snakemake, such as a target. Takes as long as the miniature, twice that with `--before`. Let
nothing else run on the machine. `--table` prints the table of docs/performance.md.
"""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTING = '''"""Loaded by every Python process of a measured run: a script of the workflow notes what it took, at its end."""
import atexit, json, os, resource, sys, time

began, loaded = time.time(), "torch" in sys.modules
names = [a for a in sys.orig_argv[1:] if a.endswith(".py") and os.path.basename(os.path.dirname(a)) == "workflow_scripts"]
names += ["kernel.py"] if loaded and "ipykernel_launcher" in sys.orig_argv else []  # else it is a child of run_notebook


def note():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(u.ru_utime + u.ru_stime for u in used)
    what = {"script": os.path.basename(names[0])[:-3], "loaded": loaded}
    line = json.dumps({**what, "cpu_s": cpu, "wall_s": time.time() - began})
    with open(os.environ["MINIATURE_NOTES"], "a") as file:
        file.write(line + "\\n")


if names:
    atexit.register(note)
'''


def used_by_children() -> float:
    """CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imports_of(script: Path, environment: dict) -> float:
    """Median CPU seconds of three runs of `<script> --help`."""
    found = []
    for _ in range(3):
        before = used_by_children()
        subprocess.run([sys.executable, script, "--help"], check=True, stdout=subprocess.DEVNULL, env=environment)
        found.append(used_by_children() - before)
    return statistics.median(found)


def by_script(notes: list[dict], imports: dict[str, float]) -> list[dict]:
    """One entry per script: jobs, cpu_s, of which imports_s, and wall_s. Sorted by CPU seconds, the largest first."""
    found = {}
    for note in notes:
        entry = found.setdefault(
            note["script"], {"script": note["script"], "jobs": 0, "cpu_s": 0.0, "imports_s": 0.0, "wall_s": 0.0}
        )
        entry["jobs"] += 1
        entry["imports_s"] += 0.0 if note["loaded"] else imports[note["script"]]
        for key in ("cpu_s", "wall_s"):
            entry[key] += note[key]
    return sorted(found.values(), key=lambda entry: -entry["cpu_s"])


def measure(checkout: Path, cores: int, arguments: list[str]) -> dict:
    """Run the miniature in a fresh copy of a checkout's commit. Raises CalledProcessError if the run fails."""
    with tempfile.TemporaryDirectory() as folder:
        copy, notes = Path(folder) / "copy", Path(folder) / "notes.jsonl"
        subprocess.run(["git", "clone", "--quiet", checkout, copy], check=True)
        (copy / ".venv").symlink_to(Path(sys.prefix))
        (Path(folder) / "noting").mkdir()
        (Path(folder) / "noting" / "sitecustomize.py").write_text(NOTING)
        notes.touch()
        quiet = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        environment = {**quiet, "PYTHONPATH": str(Path(folder) / "noting"), "MINIATURE_NOTES": str(notes)}
        began, before = time.time(), used_by_children()
        command = [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores)]
        subprocess.run(command, cwd=copy, env=environment, check=True)
        wall, cpu = time.time() - began, used_by_children() - before
        taken = [json.loads(line) for line in notes.read_text().splitlines()]
        importing = {note["script"] for note in taken if not note["loaded"]}
        quiet.pop("PYTHONPATH", None)
        imports = {name: imports_of(copy / "workflow_scripts" / f"{name}.py", quiet) for name in importing}
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=copy, check=True, stdout=subprocess.PIPE, text=True)
    scripts = by_script(taken, imports)
    own = cpu - sum(entry["cpu_s"] for entry in scripts)
    return {"commit": commit.stdout.strip(), "wall_s": wall, "cpu_s": cpu, "snakemake_cpu_s": own, "scripts": scripts}


def processor() -> str:
    """The name of the CPU."""
    try:
        return re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.machine()


def table(record: dict) -> str:
    """The record as a table in Markdown, with the run before in brackets if there is one."""
    before = record.get("before")
    of = lambda run: {entry["script"]: entry for entry in run["scripts"]} if run else {}  # noqa: E731
    now, then = of(record["now"]), of(before)
    nothing = {"jobs": 0, "cpu_s": 0.0, "imports_s": 0.0, "wall_s": 0.0}

    def cells(one, other):
        pairs = [(one[key], other[key]) for key in ("jobs", "cpu_s", "imports_s", "wall_s")]
        return [f"{a:,.0f}" + (f" ({b:,.0f})" if before else "") for a, b in pairs]

    whole = lambda run: {  # noqa: E731
        "jobs": sum(entry["jobs"] for entry in run["scripts"]),
        "cpu_s": run["cpu_s"],
        "imports_s": sum(entry["imports_s"] for entry in run["scripts"]),
        "wall_s": run["wall_s"],
    }
    rows = [["script", "jobs", "CPU s", "of these imports", "wall s"], ["---"] * 5]
    rows += [
        [f"`{name}`", *cells(now.get(name, nothing), then.get(name, nothing))] for name in [*now, *(then.keys() - now.keys())]
    ]
    own = lambda run: {**nothing, "cpu_s": run["snakemake_cpu_s"]}  # noqa: E731
    rows.append(["Snakemake itself", *cells(own(record["now"]), own(before) if before else nothing)])
    rows.append(["the whole run", *cells(whole(record["now"]), whole(before) if before else nothing)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="an older checkout, which is measured first")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, help="json")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the table of a record")
    parser.add_argument("arguments", nargs="*", help="for Snakemake, after --")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())))
        return
    if not arguments.out:
        parser.error("give --out or --table")
    record = {"cpu": processor(), "cores": arguments.cores, "arguments": arguments.arguments}
    if arguments.before:
        record["before"] = measure(arguments.before.resolve(), arguments.cores, arguments.arguments)
    record["now"] = measure(ROOT, arguments.cores, arguments.arguments)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))


if __name__ == "__main__":
    main()
