"""Whole files: a second writer waits, and a failure keeps the old file."""

import threading
import time

import pytest

from avflow.storage import whole_files


def until(true, seconds: float = 60) -> None:
    """Wait for something to become true; fail when it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_second_writer_waits_and_then_finds_a_whole_file(tmp_path, capsys):
    path, order = tmp_path / "t", []

    def write(name, go_on=None):
        with whole_files.whole(path) as part:
            order.append(f"{name} begins")
            if go_on:
                go_on.wait(60)
            part.write_text(name)
            order.append(f"{name} ends")

    go_on = threading.Event()
    first = threading.Thread(target=write, args=("first", go_on))
    first.start()
    until(lambda: "first begins" in order)
    second = threading.Thread(target=write, args=("second",))
    second.start()
    until(lambda: "another process is writing it; waiting" in capsys.readouterr().err, seconds=10)
    assert order == ["first begins"] and not path.exists()
    go_on.set()
    first.join()
    second.join()
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert path.read_text() == "second" and [p.name for p in tmp_path.iterdir()] == ["t"]
    with pytest.raises(KeyError), whole_files.whole(path):
        raise KeyError
    assert path.read_text() == "second" and [p.name for p in tmp_path.iterdir()] == ["t"]
