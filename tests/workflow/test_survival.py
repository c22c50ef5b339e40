"""Runs survive kills, full and read-only disks, damaged files, and a second Snakemake.

Each test injects its fault into the real knockouts of a few questions, starts again, and holds the rows to those of a run that
nothing disturbed: every question is there, none was asked twice, and the data are equal byte for byte.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from workflow_runs import as_a_user, preloaded

from avflow import cli
from avflow.errors import InputError
from avflow.storage import partial_rows
from avflow.storage.shard_reader import FeatureStore

QUESTIONS, MODEL = 8, "tiny-salmonn"

STUDY = f"""
study: short
studies: {{short: {{main_model: {MODEL}, video: mini-video, items: mini-video, models: [{MODEL}], datasets: [mini-video]}}}}
datasets: {{mini-video: {{tasks: [hear], questions: {QUESTIONS}, knockout_questions: {QUESTIONS}}}}}
knockout: {{verify: 0, cuts: {{figure_4: {{stride: 2}}}}}}
"""

SHARD = f"{MODEL}/mini-video/figure_4/0.parquet"

OUT = f"results/short/knockout/{SHARD}"

FEATURES = f"results/short/features/{MODEL}/mini-video/0.safetensors"


class Run:
    """A Snakemake that makes one shard of knockouts, in a group of processes of its own.

    loaded: its jobs start as forks, which saves time where nothing is killed.
    """

    def __init__(self, where: Path, *arguments: str, loaded: bool = False):
        settings = as_a_user() | (preloaded() if loaded else {})
        command = [sys.executable, "-m", "snakemake", *(arguments or [OUT]), "--cores", "1", "--printshellcmds"]
        command += ["--configfile", "config.yaml", "short.yaml"]
        self.log = where / f"run_{time.monotonic_ns()}.txt"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, cwd=where, stdout=log, stderr=log, env=settings, start_new_session=True)

    def said(self) -> str:
        return self.log.read_text()

    def ends(self) -> int:
        return self.process.wait(timeout=300)

    def rule(self) -> psutil.Process:
        """The process of knockout.py itself."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if any(part.endswith("knockout.py") for part in process.cmdline()[1:2]):
                return process
        raise AssertionError(self.said())


def asked(where: Path) -> Counter:
    """How often each question stands among the whole records of the side file."""
    side = where / f"{OUT}.partial"
    data, at, found = side.read_bytes() if side.exists() else b"", len(partial_rows.MAGIC), Counter()
    while len(frame := data[at : at + partial_rows.FRAME.size]) == partial_rows.FRAME.size:
        start = at + partial_rows.FRAME.size
        at = start + partial_rows.FRAME.unpack(frame)[0]
        if at <= len(data):
            found.update(name for name, _ in partial_rows.entries(data[start:at]) if name.startswith("mini_video"))
    return found


def until(true, run: Run | None = None, seconds: float = 300) -> None:
    """Wait for something to become true, while a run goes on."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end and (run is None or run.process.poll() is None), run and run.said()
        time.sleep(0.01)


def data(path: Path) -> bytes:
    """A table's columns as bytes, without the metadata, in which times and dates stand."""
    sink = pa.BufferOutputStream()
    table = pq.read_table(path).replace_schema_metadata().combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study with its knockouts made by a run that nothing disturbed; with that run, and one begun while it was going on."""
    where = tmp_path_factory.mktemp("study")
    for name in ("Snakefile", "config.yaml", "rules", "schemas", "workflow_scripts", "figures", "envs", "profiles"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, where / name)
    for name in ("resources", "report", "benchmarks"):
        (where / name).symlink_to(ROOT / name)
    (where / "short.yaml").write_text(STUDY)
    first = Run(where, loaded=True)
    until(lambda: (where / ".snakemake/locks").is_dir() and list((where / ".snakemake/locks").iterdir()), first)
    second = Run(where, loaded=True)
    assert first.ends() == 0, first.said()
    second.ends()
    return where, first, second


@pytest.fixture
def undisturbed(study):
    """The study's folder without knockouts, and their data from the run that nothing disturbed."""
    where = study[0]
    kept = where / "undisturbed.parquet"
    if not kept.exists():
        shutil.move(where / OUT, kept)
        shutil.move(where / f"{OUT}.partial", f"{kept}.partial")
    for path in (where / OUT, where / f"{OUT}.partial"):
        path.unlink(missing_ok=True)
    return where, data(kept)


def all_asked_once(where: Path) -> bool:
    return len(asked(where)) == QUESTIONS and set(asked(where).values()) == {1}


def test_a_second_snakemake_is_refused_and_does_not_disturb_the_first(study):
    where, first, second = study
    assert second.process.returncode == 1 and "Directory cannot be locked" in second.said()
    assert "7 of 7 steps (100%) done" in first.said()
    (table,) = (path for path in (where / OUT, where / "undisturbed.parquet") if path.exists())
    assert len(set(pq.read_table(table)["question_id"].to_pylist())) == QUESTIONS


def test_a_rule_that_is_killed_is_tried_again_and_goes_on_where_it_was(undisturbed):
    where, wanted = undisturbed
    run = Run(where)
    until(lambda: len(asked(where)) >= 2, run)
    run.rule().kill()
    assert run.ends() == 0, run.said()
    assert f"0 of {QUESTIONS} questions were finished before" in run.said() and "Trying to restart job" in run.said()
    assert any(f"{n} of {QUESTIONS} questions were finished before" in run.said() for n in range(2, QUESTIONS))
    assert all_asked_once(where) and data(where / OUT) == wanted


def test_when_snakemake_is_killed_its_job_goes_on_and_the_next_one_waits_for_it(undisturbed):
    where, wanted = undisturbed
    run = Run(where)
    until(lambda: len(asked(where)) >= 2, run)
    orphan = run.rule()
    orphan.suspend()
    run.process.kill()
    run.ends()
    refused = Run(where, loaded=True)
    assert refused.ends() == 1 and "--unlock" in refused.said()
    assert Run(where, "--unlock", loaded=True).ends() == 0
    again = Run(where, loaded=True)
    until(lambda: "0.parquet.partial: another process is writing it; waiting" in again.said(), again)
    assert len(asked(where)) < QUESTIONS
    orphan.resume()
    assert again.ends() == 0, again.said()
    assert f"{QUESTIONS} of {QUESTIONS} questions were finished before" in again.said()
    assert all_asked_once(where) and data(where / OUT) == wanted


def test_when_all_is_killed_at_once_the_next_run_asks_only_what_is_left(undisturbed):
    where, wanted = undisturbed
    run = Run(where)
    until(lambda: len(asked(where)) >= 3, run)
    os.killpg(run.process.pid, signal.SIGKILL)
    run.ends()
    finished = len(asked(where))
    assert 3 <= finished < QUESTIONS and not (where / OUT).exists()
    assert Run(where, "--unlock", loaded=True).ends() == 0
    again = Run(where, loaded=True)
    assert again.ends() == 0, again.said()
    assert f"{finished} of {QUESTIONS} questions were finished before" in again.said()
    assert all_asked_once(where) and data(where / OUT) == wanted


def test_a_route_added_in_config_yaml_reruns_the_job_and_keeps_the_finished_rows(undisturbed):
    where, wanted = undisturbed
    for end in ("", ".partial"):
        shutil.copy2(where / f"undisturbed.parquet{end}", where / f"{OUT}{end}")
    routes = yaml.safe_load((where / "config.yaml").read_text())["knockout"]["cuts"]["figure_4"]["routes"]
    more = STUDY.replace("{stride: 2}", f"{{stride: 2, routes: {json.dumps([*routes, 'options->last'])}}}")
    try:
        (where / "short.yaml").write_text(more)
        run = Run(where, loaded=True)
        assert run.ends() == 0, run.said()
    finally:
        (where / "short.yaml").write_text(STUDY)
    said = run.said()
    assert "1 of 1 steps (100%) done" in said and "Params have changed since last execution" in said
    assert f"0 of {QUESTIONS} questions were finished before; {QUESTIONS} more have some rows and get new ones" in said
    new = pc.equal(pq.read_table(where / OUT)["route"], "options->last")
    assert pc.sum(new).as_py() == QUESTIONS * 6 * 2, "each second layer of 12, the route and one draw of its control"
    pq.write_table(pq.read_table(where / OUT).filter(pc.invert(new)), where / "old.parquet")
    assert data(where / "old.parquet") == wanted


def in_a_folder_of_its_own_disk(where: Path, folder: str, mount: str, commands: str) -> subprocess.CompletedProcess:
    """Run shell commands that see another disk at a folder; nobody else does, and it is gone when they end."""
    (where / folder).mkdir(parents=True, exist_ok=True)
    private = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*private, "mount", "-t", "tmpfs", "none", where / folder], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine lets nobody mount a disk, so that none can be filled")
    settings = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    script = f"{mount.format(folder=folder)} || exit 99\n{commands}"
    return subprocess.run([*private, "sh", "-c", script], cwd=where, env=settings, capture_output=True, text=True)


def by_hand(study, out: str) -> str:
    """The command with which the rule made its knockouts, for another output."""
    command = re.search(r"python (workflow_scripts/knockout\.py .+?) 2>&1", study[1].said())[1]
    return f"{shlex.quote(sys.executable)} {command}".replace(f"--out {OUT}", f"--out {out}")


def test_knockouts_on_a_full_disk_say_so_and_go_on_when_there_is_room(study, undisturbed):
    where, wanted = undisturbed
    done = in_a_folder_of_its_own_disk(
        where,
        "small",
        "mount -t tmpfs -o size=1m none {folder}",
        f"""head -c 970000 /dev/zero > small/ballast
        {by_hand(study, "small/0.parquet")} 2> said; echo $?
        ls small
        rm small/ballast
        {by_hand(study, "small/0.parquet")} 2> said_again; echo $?
        cp small/0.parquet made.parquet""",
    )
    assert done.stdout.split() == ["2", "0.parquet.partial", "ballast", "0"], done.stdout + done.stderr
    said, again = ((where / name).read_text() for name in ("said", "said_again"))
    assert said.splitlines()[-1] == (
        "error: small/0.parquet.partial: the disk is full; free some space and run again: finished questions are kept"
    )
    finished = int(re.search(rf"(\d+) of {QUESTIONS} questions were finished before", again)[1])
    assert 1 <= finished < QUESTIONS and data(where / "made.parquet") == wanted


SHARD_AND_TABLE = """
import sys
import numpy as np, pyarrow as pa
from avflow import cli
from avflow.storage import partial_rows
from avflow.storage import ShardWriter

def shard():
    with ShardWriter("small/f.safetensors", 1000, {}) as out:
        out.add("m/frames", np.zeros(2_000_000, np.uint8))

def table():
    partial_rows.write_parquet(pa.table({"x": np.random.default_rng(0).random(200_000)}), "small/t.parquet")

cli.run({"shard": shard, "table": table}[sys.argv[1]])
"""


def test_shards_and_tables_on_a_full_disk_leave_nothing_half_written(tmp_path):
    (tmp_path / "write.py").write_text(SHARD_AND_TABLE)
    run = f"PYTHONPATH={ROOT}/workflow_scripts {sys.executable} write.py"
    done = in_a_folder_of_its_own_disk(
        tmp_path, "small", "mount -t tmpfs -o size=1m none {folder}", f"{run} shard; echo $?; {run} table; echo $?; ls -A small"
    )
    assert done.stdout.split() == ["2", "2"]
    full = "the disk is full; free some space and run again: finished questions are kept"
    assert done.stderr.splitlines() == [f"error: small/{name}: {full}" for name in ("f.safetensors", "t.parquet")]


def test_a_read_only_results_folder_is_named_before_anything_starts(undisturbed):
    where, _ = undisturbed
    command = f"{sys.executable} -m snakemake {OUT} --cores 1 --configfile config.yaml short.yaml"
    mount = "mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    done = in_a_folder_of_its_own_disk(where, "results", mount, f"{command}; echo code $?; {command} --dry-run; echo code $?")
    codes = re.findall(r"^code (\d)$", done.stdout, re.MULTILINE)
    assert codes == ["1", "0"] and "knockout" in done.stdout, "what would be done may be asked"
    assert re.search(
        r"^results/short cannot be written \(read-only disk.*\); change that, or put it elsewhere", done.stderr, re.M
    )
    assert "rule knockout:" not in done.stderr


def damaged(path: Path, copy: Path, at: int) -> Path:
    """A copy of a file with one bit flipped at a place; negative places count from the end."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    copy.write_bytes(content)
    return copy


def read_all(path: Path) -> int:
    store = FeatureStore(path)
    return sum(store.get(medium, name).numel() for medium, names in store.names.items() for name in names)


def test_one_flipped_bit_in_features_is_noticed_wherever_it_is(study, tmp_path):
    path = study[0] / FEATURES
    size, header = path.stat().st_size, 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert read_all(path) > 1000
    for at in (7, 9, header + 1, (header + size) // 2, size - 1):
        with pytest.raises(InputError, match="f is damaged: .*; delete it and make it again: snakemake "):
            read_all(damaged(path, tmp_path / "f", at))
    (tmp_path / "f").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="f is damaged: it is not a complete safetensors file .*; delete it"):
        read_all(tmp_path / "f")


def test_damaged_features_stop_a_job_and_cost_no_finished_question(study, undisturbed):
    where, wanted = undisturbed
    side = (where / "undisturbed.parquet.partial").read_bytes()
    (where / f"{OUT}.partial").write_bytes(side[: len(side) // 2])  # as a kill leaves it
    finished = len(asked(where))
    damaged(where / FEATURES, where / "damaged", -1)
    command = by_hand(study, OUT)
    broken = subprocess.run(command.replace(FEATURES, "damaged"), shell=True, cwd=where, capture_output=True, text=True)
    assert broken.returncode == 2 and "Traceback" not in broken.stderr and not (where / OUT).exists()
    assert re.match(r"error: damaged is damaged: the checksum of \S+ is wrong; delete it", broken.stderr.splitlines()[-1])
    assert 2 <= finished < QUESTIONS and f"{finished} of {QUESTIONS} questions were finished before" in broken.stderr
    mended = subprocess.run(command, shell=True, cwd=where, capture_output=True, text=True)
    assert mended.returncode == 0 and all_asked_once(where) and data(where / OUT) == wanted


def test_a_missing_input_names_the_rule_that_makes_or_fetches_it(study, monkeypatch, capsys):
    import knockout

    monkeypatch.chdir(study[0])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    options = shlex.split(by_hand(study, "out.parquet"))[1:]
    for name, value, message in (
        (
            "--questions",
            "results/q.jsonl",
            "does not exist; the prepare rule of its dataset makes it: snakemake results/q.jsonl --cores all",
        ),
        (
            "--features",
            "results/f.safetensors",
            "does not exist; the rule extract_features makes it: snakemake results/f.safetensors --cores all",
        ),
        (
            "--evaluate",
            "results/e.parquet",
            "does not exist; the rule evaluate makes it: snakemake results/e.parquet --cores all",
        ),
        (
            "--checkpoint",
            "downloads/models/m",
            "does not exist; the rule download_weights fetches it: on a networked machine, run: snakemake downloads",
        ),
    ):
        changed = [*options]
        changed[options.index(name) + 1] = value
        monkeypatch.setattr(sys, "argv", changed)
        with pytest.raises(SystemExit, match="2"):
            cli.run(knockout.main)
        said = capsys.readouterr().err
        assert said.startswith(f"error: {value} {message}") and said.count("\n") == 1
    assert not Path("out.parquet.partial").exists()


def test_only_rules_of_the_submit_host_reach_the_network():
    online = set()
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "env -u HF_HUB_OFFLINE -u TRANSFORMERS_OFFLINE" in text:
                online.add(text.split(":")[0])
                assert "    localrule: True\n" in text and "gpu=" not in text, text.split(":")[0]
            else:
                assert "HF_HUB_OFFLINE" not in text
    assert online == {"check", "pin", "download_weights", "download_dataset"}


def test_a_question_that_does_not_fit_is_one_line_and_what_was_finished_is_kept(study, tmp_path, monkeypatch, capsys):
    import torch

    import evaluate

    monkeypatch.chdir(study[0])
    options = shlex.split(by_hand(study, f"{tmp_path}/0.parquet"))[2:]
    for name in ("--evaluate", "--cuts", "--width", "--engine", "--verify"):
        at = options.index(name)
        del options[at : at + 2]
    options.remove("--ranked")  # no tables
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *options])
    original, fits = evaluate.ask, []

    def scarce(model, some, arguments):
        if len(fits) + len(some) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        fits.extend(question.question_id for question, _ in some)
        return original(model, some, arguments)

    monkeypatch.setattr(evaluate, "ask", scarce)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="2"):
        cli.run(evaluate.main)
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: question mini_video\S+ of \S+ does not fit into the GPU's memory; end other programs", last)
    assert not (tmp_path / "0.parquet").exists()
    monkeypatch.setattr(evaluate, "ask", original)
    cli.run(evaluate.main)
    assert f"3 of {QUESTIONS} questions were finished before" in capsys.readouterr().err
    whole = data(study[0] / f"results/short/evaluate/{MODEL}/mini-video/0.parquet")
    assert data(tmp_path / "0.parquet") == whole
