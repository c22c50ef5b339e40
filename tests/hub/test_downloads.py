"""Downloads are pinned, checked by hash, and resumed after every cut or kill. Each error is one line with its remedy.

Also tests avflow.hub.fetch.
"""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from conftest import SCRIPTS, script
from hub_server import Fault
from pinned import BIG, FILES, OTHER, QUICK, get, nothing_is_taken_for_a_result, pinned, weights

from avflow.errors import InputError
from avflow.hub import fetch
from avflow.hub.repository import Backoff, Source, describe


def test_a_download_is_checked_recorded_and_never_repeated(hub, pin, tmp_path, capfd):
    out = get(pin, tmp_path)
    assert (out / "model.safetensors").read_bytes() == BIG and (out / "config.json").read_bytes() == b"{}"
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "manifest.json", "model.safetensors", "verified.jsonl"]
    assert json.loads((out / "manifest.json").read_text()) == pin.as_json()
    told = capfd.readouterr()
    assert f"tiny: owner/tiny at {pin.revision}, licence: qwen-research; read it at https://huggingface.co/owner/tiny" in told.out
    assert "tiny: 2 of 2 files to fetch, 3.0 MB;" in told.out and "tiny: 3.0 MB of 3.0 MB, " in told.err
    hub.log.clear()
    written = (out / "manifest.json").stat().st_mtime_ns
    get(pin, tmp_path)
    assert not hub.log and (out / "manifest.json").stat().st_mtime_ns == written
    assert "tiny: 0 of 2 files to fetch, 0 bytes;" in capfd.readouterr().out
    (out / "manifest.json").unlink()  # as Snakemake does before it runs the rule again
    get(pin, tmp_path)
    assert not hub.log and json.loads((out / "manifest.json").read_text()) == pin.as_json()


def test_files_arrive_in_parallel_and_each_whole(hub, tmp_path):
    files = {f"part_{i}.bin": random.Random(i).randbytes(200_000 + i) for i in range(8)} | {"empty.bin": b""}
    hub.speed = 2_000_000
    pin = pinned(hub, tmp_path, files, repo_type="dataset", patterns=["*.bin"])
    out = get(pin, tmp_path, threads=4)
    assert all((out / name).read_bytes() == data for name, data in files.items())
    assert len(hub.contents()) == 8  # nothing is asked for an empty file


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub, tmp_path, monkeypatch):
    pin = pinned(hub, tmp_path, gated="auto")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    get(pin, tmp_path)
    asked = {(r.host, r.token) for r in hub.log}
    assert asked == {("127.0.0.1", f"Bearer {hub.token}"), ("localhost", None)}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_temporary_error_is_tried_again(hub, pin, tmp_path, status):
    hub.faults["model.safetensors"] = [Fault(status=status), Fault(status=status)]
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert weights(hub) == [(None, status), (None, status), (None, 200)]


def test_waits_double_and_a_server_that_asks_for_more_gets_it(hub, pin, tmp_path):
    asks = Fault(status=429, headers=(("Retry-After", "9"),))
    hub.faults["model.safetensors"] = [Fault(status=500), Fault(status=500), asks, Fault(status=500)]
    waits = []
    get(pin, tmp_path, Backoff(tries=6, first=1.0, sleep=waits.append))
    assert waits == [1.0, 2.0, 9.0, 8.0]


def test_a_server_that_asks_for_an_hour_is_an_error_at_once(hub, pin, tmp_path):
    hub.faults["model.safetensors"] = [Fault(status=429, headers=(("Retry-After", "3600"),))]
    with pytest.raises(InputError, match="the hub answers HTTP 429, and asks to wait 3600 s; run again after that to continue"):
        get(pin, tmp_path)


def test_a_cut_is_resumed_where_it_happened(hub, pin, tmp_path):
    hub.faults["model.safetensors"] = [Fault(cut=1_000_000), Fault(cut=500_000), Fault(status=503)]
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert weights(hub) == [(None, 200), ("bytes=1000000-", 206), ("bytes=1500000-", 503), ("bytes=1500000-", 206)]


def test_progress_is_not_counted_among_the_tries(hub, pin, tmp_path):
    hub.faults["model.safetensors"] = [Fault(cut=100_000)] * 10
    assert (get(pin, tmp_path, Backoff(tries=2, first=0.0)) / "model.safetensors").read_bytes() == BIG
    assert len(weights(hub)) == 11


def test_a_server_that_stays_broken_ends_it_and_what_is_there_is_kept(hub, pin, tmp_path):
    hub.faults["model.safetensors"] = [Fault(cut=1_000_000), *[Fault(status=500)] * 2]
    with pytest.raises(InputError) as error:
        get(pin, tmp_path)
    assert "owner/tiny/model.safetensors: the hub answers HTTP 500, 3 times without progress; check" in str(error.value)
    assert "run again: 1000000 bytes are kept" in str(error.value) and nothing_is_taken_for_a_result(tmp_path / "out")
    hub.log.clear()
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert weights(hub) == [("bytes=1000000-", 206)]


def test_a_server_that_ignores_range_still_gives_the_right_file(hub, pin, tmp_path, capfd):
    hub.faults["model.safetensors"] = [Fault(cut=1_000_000), Fault(whole=True)]
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert "the server ignores Range; starting over" in capfd.readouterr().err
    shutil.rmtree(tmp_path / "out")
    hub.faults["model.safetensors"] = [Fault(cut=1_000_000, whole=True)] * 3
    with pytest.raises(InputError, match="3 times without progress; the server ignores Range, so every interruption restarts"):
        get(pin, tmp_path)


def test_wrong_content_is_fetched_once_more_and_then_refused(hub, pin, tmp_path, capfd):
    hub.faults["model.safetensors"] = [Fault(flip=12_345)]
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert f"the pin says {fetch.hashlib.sha256(BIG).hexdigest()}; removed, fetching it once more" in capfd.readouterr().err
    for name in ("model.safetensors", "config.json"):  # by sha256 and by git's hash
        shutil.rmtree(tmp_path / "out")
        hub.faults[name] = [Fault(flip=1)] * 2
        with pytest.raises(InputError, match=f"owner/tiny/{name}: its hash is [0-9a-f]+, the pin says [0-9a-f]+, twice"):
            get(pin, tmp_path)
        assert nothing_is_taken_for_a_result(tmp_path / "out") and not list((tmp_path / "out").glob(".*.part"))


def test_content_of_another_size_is_refused_before_it_is_fetched(hub, pin, tmp_path):
    for size, message in ((2_999_999, "the server has 3000000 bytes"), (3_000_001, "the pin says 3000001")):
        other = replace(pin, files=(pin.files[0], replace(pin.files[1], size=size)))
        with pytest.raises(InputError, match=message):
            get(other, tmp_path)
        assert nothing_is_taken_for_a_result(tmp_path / "out") and not list((tmp_path / "out").glob(".*.part"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Fault(html=True),
            "owner/tiny/model.safetensors: localhost sends an HTML page instead of the file (a login",
        ),
        (
            Fault(status=404),
            "owner/tiny/model.safetensors: it is not in revision {revision}; pin the files that are there",
        ),
        (Fault(status=410), "owner/tiny/model.safetensors: the hub answers HTTP 410; see https://huggingface.co/owner/tiny"),
    ],
)
def test_a_permanent_error_stops_at_once(hub, pin, tmp_path, fault, message):
    hub.faults["model.safetensors"] = [fault]
    with pytest.raises(InputError) as error:
        get(pin, tmp_path)
    assert str(error.value).startswith(message.format(revision=pin.revision))
    assert len(weights(hub)) == 1 and nothing_is_taken_for_a_result(tmp_path / "out")


def test_storage_that_refuses_a_link_is_asked_again_by_a_new_one(hub, pin, tmp_path):
    hub.faults["model.safetensors"] = [Fault(status=403)]
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert [r.status for r in hub.log if r.path.endswith("model.safetensors")] == [302, 403, 302, 200]


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            None,
            "the hub refuses access (HTTP 401) and no token is set; accept the terms at https://huggingface.co/owner/tiny",
        ),
        ("wrong", "the hub refuses access (HTTP 403) and the token of HF_TOKEN has no access to it; accept the terms at"),
    ],
)
def test_a_gated_repository_names_its_page_and_the_token(hub, tmp_path, monkeypatch, token, message):
    pin = pinned(hub, tmp_path, gated="manual")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InputError) as error:
        get(pin, tmp_path)
    assert message in str(error.value) and "wrong" not in str(error.value) and len(hub.log) == 1
    assert nothing_is_taken_for_a_result(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repo": "owner/gone"}, "owner/gone: there is no such model on http://127.0.0.1:"),
        ({"revision": "0" * 40}, "owner/tiny: it has no revision '000000"),
    ],
)
def test_a_repository_or_commit_that_is_gone_is_named(pin, tmp_path, change, message):
    with pytest.raises(InputError) as error:
        get(replace(pin, **change), tmp_path)
    assert str(error.value).startswith(message)


def test_an_unreachable_hub_and_an_address_that_is_none_are_named(pin, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="http://127.0.0.1:9 cannot be reached .* 3 times without progress; check the network"):
        get(pin, tmp_path)
    with pytest.raises(InputError, match="owner/tiny: http://127.0.0.1:9 cannot be reached .* after 3 tries"):
        describe(Source("owner/tiny", "model", "main"), QUICK)
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    with pytest.raises(InputError, match="HF_ENDPOINT is 'hub.example', which is not an address"):
        get(pin, tmp_path)


def test_a_small_disk_is_an_error_before_anything_is_asked(hub, pin, tmp_path):
    with pytest.raises(InputError, match="out: 2.9 MB are free but tiny needs 3.0 MB more; free some space, or put"):
        get(pin, tmp_path, free=lambda path: 2_900_000)
    assert not hub.log
    hub.faults["model.safetensors"] = [Fault(cut=2_000_000), *[Fault(status=500)] * 2]
    with pytest.raises(InputError):
        get(pin, tmp_path)
    get(pin, tmp_path, free=lambda path: 1_000_000)  # what lies there counts


def test_a_disk_that_fills_up_meanwhile_is_named(pin, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(fetch.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch._Receiver, "_ask", full)
    with pytest.raises(InputError, match="config.json: the disk is full; free some space and run again to continue"):
        get(pin, tmp_path)


def test_a_file_is_taken_by_its_hash_and_never_by_its_size(hub, pin, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.safetensors").write_bytes(BIG)  # brought by hand: right
    (out / "config.json").write_bytes(b"[]")  # of the right size, but wrong
    get(pin, tmp_path)
    assert not weights(hub) and (out / "config.json").read_bytes() == b"{}"
    hub.log.clear()
    (out / "model.safetensors").write_bytes(BIG[:-1] + b"x")  # changed after it was found right
    with open(out / "verified.jsonl", "a") as file:
        file.write('{"path": "model.safeten')  # torn by a kill
    get(pin, tmp_path)
    assert weights(hub) == [(None, 200)] and (out / "model.safetensors").read_bytes() == BIG


def test_a_new_revision_replaces_the_old_one_and_is_never_mixed_with_it(hub, tmp_path):
    asked = dict(repo_type="dataset", patterns=["test.csv", "clips_*.zip"])
    first = pinned(hub, tmp_path, {"test.csv": b"a", "clips_1.zip": OTHER, "clips_2.zip": BIG}, **asked)
    out = get(first, tmp_path)
    (out / "notes.txt").write_text("the user's own")
    second = pinned(hub, tmp_path, {"test.csv": b"b", "clips_1.zip": BIG}, **asked)
    hub.faults["clips_1.zip"] = [Fault(status=410)]
    with pytest.raises(InputError):
        get(second, tmp_path)
    assert not (out / "manifest.json").exists()
    get(second, tmp_path)
    names = ["clips_1.zip", "manifest.json", "notes.txt", "test.csv", "verified.jsonl"]
    assert sorted(p.name for p in out.iterdir()) == names and (out / "clips_1.zip").read_bytes() == BIG


def test_an_index_that_names_a_missing_shard_stops_before_the_weights(hub, tmp_path):
    index = {"weight_map": {"a": "model.safetensors", "b": "talker.safetensors"}}
    pin = pinned(hub, tmp_path, {**FILES, "model.safetensors.index.json": json.dumps(index).encode()})
    with pytest.raises(InputError, match="tiny: talker.safetensors is missing from the repository .model.safetensors.index.json"):
        get(pin, tmp_path)
    assert not weights(hub) and nothing_is_taken_for_a_result(tmp_path / "out")


def test_a_failure_stops_the_other_files_and_keeps_what_they_have(hub, tmp_path):
    pin = pinned(hub, tmp_path, {"clips_1.zip": BIG, "clips_2.zip": OTHER}, repo_type="dataset", patterns=["clips_*.zip"])
    hub.speed, hub.faults["clips_2.zip"] = 1_000_000, [Fault(status=503), Fault(status=410)]
    with pytest.raises(InputError, match="clips_2.zip: the hub answers HTTP 410"):
        get(pin, tmp_path, threads=2, backoff=Backoff(first=0.2))
    kept = fetch.part_of(pin.files[0], tmp_path / "out/clips_1.zip").stat().st_size
    assert 0 < kept < 3_000_000 and not (tmp_path / "out/manifest.json").exists()


def test_two_downloads_into_one_folder_do_not_meet(hub, pin, tmp_path):
    (tmp_path / "out").mkdir()
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="out: another process is downloading into it; wait for it or stop it"):
        get(pin, tmp_path)
    os.close(handle)
    get(pin, tmp_path)


def test_a_killed_download_is_gone_on_with_by_the_next_process(hub, pin, tmp_path):
    hub.speed = 2_000_000
    out = tmp_path / "out"
    command = [sys.executable, str(SCRIPTS / "download.py"), "--pin", str(tmp_path / "tiny.json"), "--folder", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = fetch.part_of(pin.files[1], out / "model.safetensors")
    while process.poll() is None and not (part.exists() and part.stat().st_size > 500_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and nothing_is_taken_for_a_result(out)
    kept = part.stat().st_size
    hub.speed, hub.log[:] = None, []
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert 500_000 < kept < 3_000_000 and weights(hub) == [(f"bytes={kept}-", 206)]
    assert not [r for r in hub.log if r.path.endswith("config.json")]  # it was finished before
    assert (out / "model.safetensors").read_bytes() == BIG and (out / "manifest.json").exists() and not part.exists()


def test_results_know_a_downloaded_checkpoint_by_its_manifest(pin, tmp_path):
    from avflow.tracing.shard_job import checkpoint_files

    out = get(pin, tmp_path)
    assert checkpoint_files(out) == [out / "manifest.json"]
    (out / "manifest.json").unlink()
    assert checkpoint_files(out) == [out / "config.json", out / "model.safetensors"]


def test_a_study_without_the_hub_has_nothing_to_pin(tmp_path):
    done = script("pin", "--targets", "{}", "--out", tmp_path / "pins", check=False)
    assert done.returncode == 2 and not (tmp_path / "pins").exists()
    assert "error: this study takes nothing from the hub; run: snakemake pin --config study=paper" in done.stderr


def test_an_unpinned_download_stops_with_one_line(tmp_path):
    unpinned = tmp_path / "small.json"
    unpinned.write_text(json.dumps({"repo": "owner/small", "repo_type": "model", "revision": None, "files": None}))
    done = script("download", "--pin", unpinned, "--folder", tmp_path / "out", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()
    assert "small.json: owner/small is not pinned (revision is null); run: snakemake pin --config study=paper" in done.stderr
