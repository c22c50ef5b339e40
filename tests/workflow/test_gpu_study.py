"""`make test-gpu`, as far as it goes without a GPU: jobs, decoded shards on another machine, the table of what agrees."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, SCRIPTS
from workflow_runs import planned, preloaded

from avflow import cli

MODEL_JOBS = ("extract_features", "evaluate", "reliance", "knockout", "attention", "discard_sweep", "pruning", "sufficiency")
SHOWN = ["evaluate", "knockout_figure_6"]


def run(where, *options, **environment):
    """tests/gpu/run.py in a copy, in a process of its own that sees no GPU."""
    settings = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin", **preloaded(), **environment}
    command = [sys.executable, "tests/gpu/run.py", *map(str, options)]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, env=settings)


def loaded():
    """tests/gpu/run.py as a module."""
    spec = importlib.util.spec_from_file_location("gpu_run", ROOT / "tests/gpu/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_families_run_in_both_precisions_and_every_job_of_a_model_asks_for_a_gpu(copy):
    done = run(copy, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = planned(done.stdout)
    assert {name: jobs[name] for name in MODEL_JOBS} == {name: 8 for name in MODEL_JOBS} | {"knockout": 20, "sufficiency": 4}
    told = re.findall(r"^rule (\w+):\n(.*?)\n\n?(?=\[|\Z|Job stats)", done.stdout, re.MULTILINE | re.DOTALL)
    asking = [rule for rule, text in told if re.search(r"resources: .*\bgpu=1\b", text)]
    assert sorted(set(asking)) == sorted(MODEL_JOBS) and len(asking) == sum(jobs[name] for name in MODEL_JOBS)
    study = yaml.safe_load((ROOT / "tests/gpu/study.yaml").read_text())
    ours = loaded().MODELS
    assert list(ours) == study["studies"]["gpu"]["models"]
    assert {name for name, (_, dtype) in ours.items() if dtype == "bfloat16"} == {
        name for name, of in study["models"].items() if of.get("dtype") == "bfloat16"
    }


def test_the_models_in_bfloat16_differ_from_the_shipped_ones_in_their_precision_alone():
    from avflow.places import completed

    config = completed(yaml.safe_load((ROOT / "tests/gpu/study.yaml").read_text()))
    for name, (like, dtype) in loaded().MODELS.items():
        assert config["models"][name] == {**completed({})["models"][like], "dtype": dtype, "gpus": 1}


def test_without_a_gpu_one_line_says_why(copy):
    done = run(copy)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert re.search(r"error: torch \S+ sees no GPU: .*; try nvidia-smi, or --on-cpu to try the test without one", done.stderr)


def test_decoded_shards_are_carried_to_a_machine_without_a_reader(copy, tmp_path):
    """Another clone, whose files are newer, goes on from them and decodes nothing."""
    tasks = {"mini-video": ["hear"], "mini-items": ["image-to-audio"]}
    few = {"datasets": {name: {"tasks": of, "questions": 1, "knockout_questions": 1} for name, of in tasks.items()}}
    study = yaml.safe_load((copy / "tests/gpu/study.yaml").read_text())
    (copy / "tests/gpu/study.yaml").write_text(yaml.safe_dump({**study, **few}))
    other = shutil.copytree(copy, tmp_path / "other")
    shutil.rmtree(other / ".snakemake", ignore_errors=True)
    packed = tmp_path / "media.tar"
    done = run(copy, "--pack", packed, "--tables", "evaluate")
    assert done.returncode == 0 and "name it with --media" in done.stdout, done.stdout + done.stderr
    with tarfile.open(packed) as tar:
        names = tar.getnames()
    assert all(name.startswith(("results/gpu/", ".snakemake/metadata/")) for name in names)
    assert sum(name.endswith("/0.safetensors") for name in names) == 4 and not [name for name in names if "features" in name]
    for path in (other / "workflow_scripts").rglob("*.py"):
        path.touch()
    done = run(other, "--media", packed, "--dry-run", "--tables", "evaluate")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = planned(done.stdout)
    assert set(jobs) == {"extract_features", "evaluate", "gather_answers", "gather_evaluate"}
    missing = run(other, "--media", tmp_path / "none.tar")
    assert missing.returncode == 2 and "none.tar does not exist; --pack writes it on a machine" in missing.stderr


def test_jobs_of_models_need_no_reader():
    """With frames from a shard, PyAV and decord are never imported."""
    code = f"import sys; sys.modules['av'] = sys.modules['decord'] = None; import {', '.join(MODEL_JOBS)}"
    settings = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stderr


def shard(path, device, dtype):
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = json.dumps({"device": device, "dtype": dtype})
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"avflow": facts}), path)


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The module, with results and logs of a run whose tables are the shipped ones, and Snakemake told to do nothing."""
    module = loaded()
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(module, "snakemake", lambda *options, tables: None)
    for model, (_, dtype) in module.MODELS.items():
        shard(tmp_path / f"results/evaluate/{model}/mini-video/0.parquet", "NVIDIA H100", dtype)
        log = tmp_path / f"logs/evaluate/{model}/mini-video/0.log"
        log.parent.mkdir(parents=True)
        log.write_text("loading\nGPU 0, one of 0\n")
    (tmp_path / "results/tables").mkdir()
    for name in SHOWN:
        rows = pd.read_parquet(module.SHIPPED / f"{name}.parquet")
        rows = rows[rows["question_id"].str.contains(r"_000[1-8]$")]
        again = [rows[rows["model"] == like].assign(model=model) for model, (like, _) in module.MODELS.items()]
        pd.concat(again).to_parquet(tmp_path / f"results/tables/{name}.parquet")
    return module, tmp_path


def ended(module, monkeypatch, capsys):
    """Exit status and output of the test."""
    monkeypatch.setattr(sys, "argv", ["run.py", "--on-cpu", "--tables", *SHOWN])
    with pytest.raises(SystemExit) as end:
        cli.run(module.main)
    said = capsys.readouterr()
    return end.value.code, said.out + said.err


def test_tables_that_agree_pass_and_one_table_says_so(finished, monkeypatch, capsys):
    module, where = finished
    code, said = ended(module, monkeypatch, capsys)
    assert code == 0 and "NO" not in said.split()
    total = 4 * (3 + 2 * 4)  # models, with lines about jobs and about each table
    assert f"{total} of {total} agree" in said and len(pd.read_csv(where / "results/agreement.csv")) == total
    head = ["table", "model", "precision", "measure", "n", "found", "allowed", "agrees"]
    assert said.splitlines()[0].split() == head


@pytest.mark.parametrize(
    ("model", "column", "damage"),
    [
        ("tiny-omni", "logp_base", lambda rows: rows - 0.1),
        ("tiny-salmonn-bf16", "logp_base", lambda rows: rows - 1.0),
        ("tiny-omni-bf16", "answer", lambda rows: "A"),
        ("tiny-salmonn", "margin", lambda rows: rows + 0.1),
    ],
)
def test_a_damaged_table_fails_and_its_line_says_no(finished, monkeypatch, capsys, model, column, damage):
    module, where = finished
    path = where / "results/tables/evaluate.parquet"
    rows = pd.read_parquet(path)
    hit = rows["model"] == model
    rows.loc[hit, column] = damage(rows.loc[hit, column])
    rows.to_parquet(path)
    code, said = ended(module, monkeypatch, capsys)
    like, dtype = module.MODELS[model]
    wrong = [line for line in said.splitlines() if line.endswith("NO")]
    assert code == 1 and len(wrong) == 1 and {"evaluate", like, dtype} <= set(wrong[0].split())


@pytest.mark.parametrize(
    ("device", "dtype", "said"), [("cpu", "float32", "jobs on a GPU"), ("H100", "bfloat16", "jobs in float32")]
)
def test_a_job_that_ran_elsewhere_or_otherwise_is_noticed(finished, monkeypatch, capsys, device, dtype, said):
    module, where = finished
    shard(where / "results/knockout/tiny-omni/mini-video/figure_4/0.parquet", device, dtype)
    code, out = ended(module, monkeypatch, capsys)
    (wrong,) = [line for line in out.splitlines() if line.endswith("NO")]
    assert code == 1 and said in wrong and " 0.5 " in wrong


def test_a_job_that_claimed_no_gpu_is_noticed(finished, monkeypatch, capsys):
    module, where = finished
    (where / "logs/evaluate/tiny-omni/mini-video/0.log").write_text("loading\n")
    code, said = ended(module, monkeypatch, capsys)
    (wrong,) = [line for line in said.splitlines() if line.endswith("NO")]
    assert code == 1 and "logs that name the claimed GPU" in wrong
