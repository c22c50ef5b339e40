"""Each check of a machine finds what will do, and says in one line what helps against what will not.

Also tests avflow.tracing.disk_costs.
"""

import json
import math
import shlex
import shutil
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT, script
from pinned import CARD, FILES, QUICK, pinned

import check
from avflow import jobs
from avflow.errors import InputError
from avflow.study import Study
from avflow.tracing import costs, disk_costs, readiness

SHAPES = costs.shapes_of(costs.rows_of(ROOT / "resources/published/models.csv"))
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SAMPLING = CONFIG["sampling"]
BIG = {"big": {"gpus": 1, "dtype": "bfloat16", "sampling": "omni-default"}}


def said(findings) -> list[tuple]:
    assert all("\n" not in str(one) for one in findings)
    return [(one.fits, one.said) for one in findings]


# GPU memory and driver.


def test_a_prompts_memory_is_at_least_the_measured_peak_and_not_much_more():
    for case in json.loads((ROOT / "benchmarks/full_size.json").read_text()):
        shape = SHAPES[case["model"]]
        for setting, of in case["discards"].items():
            needed = readiness.needed_bytes(shape, 2, case["tokens"][setting]["all"]) - 2 * shape.parameters
            assert 1 <= needed / of["none"]["peak_bytes"] < 1.15, (case["model"], setting)


def test_the_longest_prompt_is_the_samplings_budget_or_all_its_frames():
    assert readiness.longest_prompt(SAMPLING["omni-default"]) == 32768
    assert readiness.longest_prompt(SAMPLING["omni-56px"]) == 384 * 4 + 1000
    assert 30_000 < readiness.longest_prompt(SAMPLING["salmonn-61k"]) < 32_000, "the code's limit of a video is 30,000"


def test_a_model_needs_a_gpu_that_holds_it_and_a_prompt():
    shapes = {"big": SHAPES["qwen2.5-omni-7b"]}
    needed = readiness.needed_bytes(shapes["big"], 2, 32768)
    at = lambda gpus, models=BIG: said(readiness.check_gpus(models, SAMPLING, shapes, gpus))
    assert at([("H", int(needed) + 1)])[0][0] is True
    ((fits, words),) = at([("H", 10**12), ("small", int(needed) - 1)])
    assert fits is False and "the smallest GPU, small, has 25 GB: use a larger GPU" in words and "32,768 tokens" in words
    assert at([])[0][0] is None
    assert at([], {"tiny": {**BIG["big"], "gpus": 0}}) == [(True, "it runs on the CPU")]
    assert "add a row to resources/published/models.csv" in at([], {"own": BIG["big"]})[0][1]
    double = {"big": {**BIG["big"], "dtype": "float32"}}
    assert at([("H", int(1.5 * needed))])[0][0] is True and at([("H", int(1.5 * needed))], double)[0][0] is False


@pytest.mark.parametrize(
    ("built", "knows", "usable", "fits", "words"),
    [
        ("13.0", "13.0", True, True, "torch for CUDA 13.0 uses it"),
        (
            "13.0",
            "12.4",
            False,
            False,
            "and torch is built for 13.0; update the driver, or run: rm -r .venv && make TORCH_INDEX=",
        ),
        ("13.0", "11.4", False, False, "it knows CUDA 11.4, and torch is built for 13.0; update the driver"),
        ("12.6", "13.0", False, False, "but torch finds no GPU; is CUDA_VISIBLE_DEVICES empty?"),
        (
            None,
            "12.4",
            False,
            False,
            "torch is built for the CPU; run: rm -r .venv && make TORCH_INDEX=https://download.pytorch.org/",
        ),
        ("13.0", None, False, None, "no NVIDIA driver is here"),
    ],
)
def test_a_driver_that_does_not_fit_torch_says_what_helps(built, knows, usable, fits, words):
    found = readiness.check_driver(built, knows, usable, wanted=True)
    assert found.fits is fits and words in found.said
    assert readiness.check_driver(built, knows, usable, wanted=False).fits is True


def test_the_driver_is_asked_for_the_newest_cuda_that_it_knows(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert check.driver_here() is None
    monkeypatch.setattr(shutil, "which", lambda name: name)
    text = "| NVIDIA-SMI 550.54.15     Driver Version: 550.54.15     CUDA Version: 12.4     |"
    monkeypatch.setattr(check.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=text))
    assert check.driver_here() == "12.4"


# Disk.


def test_folders_on_one_disk_share_its_space(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10e9))
    needs = {str(tmp_path / "downloads"): 6e9, str(tmp_path / "results/mine"): 5e9}
    ((fits, words),) = said(readiness.check_disk(needs, more=True))
    assert fits is False and "more than 11 GB are to come, 10 GB are free; free some, or move them" in words
    ((fits, words),) = said(readiness.check_disk({str(tmp_path): 9e9}, more=False))
    assert fits is True and words == "9 GB are to come, 10 GB are free"


def test_unknown_sizes_count_as_nothing_and_are_lower_bounds():
    part = disk_costs.Part
    parts = [part("a", 3.0, "pinned", True), part("b", math.nan, "published", True), part("c", 4.0, "at least", True)]
    assert disk_costs.total(parts) == 7 and [one.least for one in parts] == [False, True, True]


# Pins, and access to the hub.


def test_a_missing_pin_and_one_of_another_repository_are_named(pin, tmp_path):
    at = lambda **wanted: said(readiness.check_pins(wanted, tmp_path, "mine"))
    assert at(tiny="owner/tiny") == [(True, "all 1 are there")] and at()[0][0] is True
    ((fits, words),) = at(tiny="owner/tiny", gone="owner/gone")
    assert (
        fits is False and words.startswith("1 of 2 are missing: gone (") and words.endswith("snakemake pin --config study=mine")
    )
    assert "tiny pins owner/tiny, but config.yaml names owner/other" in at(tiny="owner/other")[0][1]


def test_access_needs_accepted_terms(hub, tmp_path, monkeypatch):
    pinned(hub, tmp_path)
    hub.add("model", "owner/gated", FILES, card=CARD, gated="manual")
    ask = lambda *repos: said(readiness.check_access([{"repo": repo, "repo_type": "model"} for repo in repos], QUICK))
    assert ask("owner/tiny") == [(True, "it is open to all; licence: qwen-research")]
    open_, gated = ask("owner/tiny", "owner/gated")
    assert open_[0] is True and gated[0] is False and "accept the terms at https://huggingface.co/owner/gated" in gated[1]
    assert ask("owner/gone")[0][0] is False and "there is no such model" in ask("owner/gone")[0][1]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    ((fits, words),) = ask("owner/tiny", "owner/gated")
    assert fits is None and "cannot be reached" in words


# Readers and partitions.


def test_a_reader_that_lacks_a_codec_names_it(monkeypatch):
    import av

    assert [one.fits for one in readiness.check_readers("auto")] == [True]
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"vp9"})
    ((fits, words),) = said(readiness.check_readers("auto"))
    assert fits is False and words.endswith("cannot read vp9; install its wheel: sh setup.sh")
    monkeypatch.setitem(__import__("sys").modules, "decord", None)
    assert said(readiness.check_readers("decord"))[1][0] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1-00:00:00", 1440), ("2:30:00", 150), ("30:00", 30), ("infinite", math.inf), ("12h", 720), ("1d", 1440), (90, 90)],
)
def test_time_limits_are_minutes(text, expected):
    assert readiness.minutes(text) == expected


JOBS = {
    "jobs with a GPU": {"mem_mb": 16000, "runtime": 120, "gpu": 1},
    "jobs without a GPU": {"mem_mb": 11000, "runtime": 240, "gpu": 0},
}
HERE = {"cpu": {"minutes": 1440, "mb": 64000, "gpu": False}, "a100": {"minutes": 720, "mb": 256000, "gpu": True}}


@pytest.mark.parametrize(
    ("configured", "here", "fits", "words"),
    [
        ({"cpu": {"max_runtime": "1d"}, "a100": {"max_gpu": 1}}, {}, [True, True], "partition a100"),
        ({"cpu": {}, "gpu": {"max_gpu": 1}}, {}, [False, False, True], "p.yaml names gpu, but sinfo has cpu, a100; edit p.yaml"),
        ({"cpu": {}, "a100": {}}, {}, [False, True], "a100 has no max_gpu"),
        ({"cpu": {"max_gpu": 1}}, {}, [False, True], "cpu has no GPU on its nodes"),
        ({"a100": {"max_gpu": 1, "max_runtime": "1h"}}, {}, [False, False], "a100 ends jobs after 60 min"),
        ({"a100": {"max_gpu": 1}}, {"a100": {"minutes": 720, "mb": 8000, "gpu": True}}, [False, False], "a100 has 8 GB"),
    ],
)
def test_every_kind_of_job_needs_a_partition_that_fits(configured, here, fits, words):
    found = readiness.check_partitions(configured, HERE | here, JOBS, "p.yaml")
    assert [one.fits for one in found] == fits and any(words in one.said for one in found)
    assert [one.fits for one in readiness.check_partitions(configured, None, JOBS, "p.yaml")] == [False]


def test_partitions_are_those_that_sinfo_lists(monkeypatch):
    text = "cpu|1-00:00:00|64000+|(null)\na100|12:00:00|128000|gpu:a100:4\na100|12:00:00|256000|(null)\n"
    monkeypatch.setattr(readiness.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=text))
    assert readiness.partitions_here() == HERE

    def missing(*_, **__):
        raise FileNotFoundError("sinfo")

    monkeypatch.setattr(readiness.subprocess, "run", missing)
    assert readiness.partitions_here() is None


def test_partitions_are_read_from_the_profile(tmp_path):
    assert readiness.read_partitions(ROOT / "profiles/slurm/partitions.yaml")["gpu"] == {"max_runtime": "1d", "max_gpu": 1}
    (tmp_path / "p.yaml").write_text("parts: {}\n")
    with pytest.raises(InputError, match="p.yaml holds no partitions"):
        readiness.read_partitions(tmp_path / "p.yaml")


# The script.


def checked(study, monkeypatch, tmp_path, **more):
    options = {"models": "resources/published/models.csv", "datasets": "resources/published/datasets.csv"}
    options |= {"sweeps": "benchmarks/knockout.json", "stages": "benchmarks/full_size.json", "fitted": "benchmarks/stages.json"}
    options |= {"pins": "resources/pins", **more}
    told = shlex.split(jobs.check(Study.read(ROOT / "config.yaml", study=study)))
    return script("check", *told, *(part for name, value in options.items() for part in (f"--{name}", value)), check=False)


def test_the_miniature_passes_and_the_paper_says_what_is_missing(monkeypatch, tmp_path):
    run = checked("miniature", monkeypatch, tmp_path)
    assert run.returncode == 0 and "stop" not in run.stdout and "reader: PyAV" in run.stdout
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    run = checked("paper", monkeypatch, tmp_path)
    assert run.returncode == 2 and "stop  pins: 7 of 7 are missing" in run.stdout
    assert run.stderr.splitlines()[-1].startswith("error: ") and "checks failed" in run.stderr.splitlines()[-1]
