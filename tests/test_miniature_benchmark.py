"""benchmarks/miniature.py adds up what each script's processes note, and shows two runs side by side."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("miniature_benchmark", ROOT / "benchmarks" / "miniature.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noted(benchmark, folder, code, name="workflow_scripts/knockout.py"):
    """What a script of this code and name notes: a list of notes."""
    (folder / "sitecustomize.py").write_text(benchmark.NOTING)
    script = folder / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(folder), "MINIATURE_NOTES": str(folder / "notes")}
    subprocess.run([sys.executable, script], env=environment, check=False)
    return [json.loads(line) for line in (folder / "notes").read_text().splitlines()] if (folder / "notes").exists() else []


BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_a_script_notes_its_seconds_and_those_of_its_children_even_if_it_fails(benchmark, tmp_path):
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\n"
    (note,) = noted(benchmark, tmp_path, f"{child}{BUSY}sys.exit(2)")
    assert note["script"] == "knockout" and 0.6 <= note["cpu_s"] < 3 and note["wall_s"] > 0.5


def test_other_processes_note_nothing(benchmark, tmp_path):
    assert noted(benchmark, tmp_path, BUSY, name="elsewhere/knockout.py") == []


NOTES = [
    {"script": "gather", "loaded": False, "cpu_s": 1.0, "wall_s": 1.5},
    {"script": "knockout", "loaded": False, "cpu_s": 30.0, "wall_s": 40.0},
    {"script": "knockout", "loaded": False, "cpu_s": 20.0, "wall_s": 25.0},
]


def test_jobs_of_a_script_are_added_up_and_the_dearest_stands_first(benchmark):
    first, second = benchmark.by_script(NOTES, {"gather": 0.25, "knockout": 2.5})
    assert first == {"script": "knockout", "jobs": 2, "cpu_s": 50.0, "imports_s": 5.0, "wall_s": 65.0}
    assert second == {"script": "gather", "jobs": 1, "cpu_s": 1.0, "imports_s": 0.25, "wall_s": 1.5}


def test_a_job_that_was_loaded_already_imports_nothing(benchmark):
    forked = [{**note, "loaded": note["cpu_s"] == 30.0} for note in NOTES if note["script"] == "knockout"]
    (entry,) = benchmark.by_script(forked, {"knockout": 2.5})
    assert entry == {"script": "knockout", "jobs": 2, "cpu_s": 50.0, "imports_s": 2.5, "wall_s": 65.0}


def test_the_table_shows_the_run_before_in_brackets(benchmark):
    scripts = benchmark.by_script(NOTES, {"gather": 0.25, "knockout": 2.5})
    now = {"wall_s": 1100.0, "cpu_s": 60.0, "snakemake_cpu_s": 9.0, "scripts": scripts[:1]}
    before = {"wall_s": 2200.0, "cpu_s": 70.0, "snakemake_cpu_s": 19.0, "scripts": scripts}
    assert "| the whole run | 2 | 60 | 5 | 1,100 |" in benchmark.table({"now": now})
    lines = benchmark.table({"now": now, "before": before}).splitlines()
    assert "| `knockout` | 2 (2) | 50 (50) | 5 (5) | 65 (65) |" in lines
    assert "| `gather` | 0 (1) | 0 (1) | 0 (0) | 0 (2) |" in lines
    assert "| Snakemake itself | 0 (0) | 9 (19) | 0 (0) | 0 (0) |" in lines
    assert lines[-1] == "| the whole run | 2 (3) | 60 (70) | 5 (5) | 1,100 (2,200) |"
