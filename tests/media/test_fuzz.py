"""Damaged files of every kind end in arrays or a `MediaError`. `tests/media/fuzz.py` tries as many as one likes."""

import damaged_files
import fuzz
import pytest
from damaged_files import Damaged


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return fuzz.judged(damaged_files.damaged(tmp_path_factory.mktemp("fuzz"), 60, seed=1))


def test_60_damaged_files_are_read_or_dropped_with_a_reason(results):
    assert [(file.path.name, verdict["fault"]) for file, verdict in results if "fault" in verdict] == []
    assert len(results) == 60 and len({file.kind for file, _ in results}) > 30
    outcomes = {verdict.get("reason", "read") for _, verdict in results}
    assert outcomes >= {"read", "unreadable", "truncated"}


def test_the_same_seed_makes_the_same_files(tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(
            {f.path.name: (f.medium, f.kind, f.path.read_bytes()) for f in damaged_files.damaged(tmp_path / name, 20, seed=3)}
        )
    assert made[0] == made[1] and len(made[0]) == 20


@pytest.mark.slow
def test_600_other_damaged_files_are_read_or_dropped_with_a_reason(tmp_path):
    results = fuzz.judged(damaged_files.damaged(tmp_path, 600, seed=2))
    assert [(file.path.name, verdict["fault"]) for file, verdict in results if "fault" in verdict] == [] and len(results) == 600


@pytest.mark.slow
def test_whole_files_of_every_kind_are_read_except_those_that_no_decoder_knows(tmp_path):
    sources = damaged_files.sources(tmp_path)
    files = []
    for n, source in enumerate(sources):
        path = tmp_path / f"{n}.{source.suffix}"
        path.write_bytes(source.data)
        files.append(Damaged(path, source.kind, source.medium, "untouched"))
    refused = {file.kind: verdict for file, verdict in fuzz.judged(files) if "read" not in verdict}
    assert refused == {kind: {"reason": "unsupported"} for kind in ("heic", "svg")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "fault"),
    [
        ("probe = lambda *_: os.abort()", "the process died (SIGABRT)"),
        ("probe = lambda *_: time.sleep(9)", "took too long"),
        ("probe = lambda *_: 1 / 0", "ZeroDivisionError: division by zero"),
        ("probe = lambda *_: np.ones(2**26)", "MemoryError"),
        ("probe = lambda *_: np.ones(153 * 2**17)", "153 MB of memory"),  # whole MB, so that few pages more or less round to it
    ],
)
def test_a_crash_a_hang_and_a_large_file_are_seen(tmp_path, setup, fault):
    judges = fuzz.Judges(f"import os, time\nimport numpy as np\nfrom avflow import media\nmedia.{setup}", limit=2, memory=2**27)
    found = judges.judge(Damaged(tmp_path / "a.mp4", "mp4", "video", "untouched"))
    judges.close()
    assert found["fault"].startswith(fault)
