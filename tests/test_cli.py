"""Errors of a command line are one line. Also tests avflow.errors."""

import signal

import pytest

from avflow import cli
from avflow.errors import InputError


@pytest.mark.parametrize(
    ("number", "said"),
    [(30, "r.parquet is on a read-only disk; change its permissions"), (13, "r.parquet cannot be read or written; change its")],
)
def test_a_file_that_cannot_be_written_is_one_line(capsys, number, said):
    def main():
        raise OSError(number, "no", "r.parquet")

    with pytest.raises(SystemExit, match="2"):
        cli.run(main)
    err = capsys.readouterr().err
    assert err.startswith(f"error: {said}") and err.count("\n") == 1


def test_bad_input_and_a_termination_have_codes_of_their_own(capsys, monkeypatch):
    handlers = {}
    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.update({number: handler}))

    def bad():
        raise InputError("q.jsonl: line 2 is no object; write one object a line")

    with pytest.raises(SystemExit, match="2"):
        cli.run(bad)
    assert capsys.readouterr().err == "error: q.jsonl: line 2 is no object; write one object a line\n"
    with pytest.raises(SystemExit, match="143"):
        handlers[signal.SIGTERM](signal.SIGTERM, None)


def test_other_errors_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 / 0)
    with pytest.raises(FileNotFoundError):
        cli.run(lambda: open("/nowhere/at/all"))


def test_a_log_that_ends_with_bad_input_says_that_a_retry_cannot_help(tmp_path):
    log = tmp_path / "a.log"
    for text, refused in (
        ("knockout: 1 of 2\nerror: q.jsonl: line 2 is no object; write one object a line\n", True),
        ("knockout.py: error: argument --cuts: key 'rotes' is unknown\n", True),
        ("error: it was so once\nknockout: 1 of 2, 9 s left\n", False),
        ("Traceback (most recent call last):\nRuntimeError: error: in a kernel\n", False),
        ("", False),
    ):
        log.write_text(text)
        assert cli.refused(log) is refused, text
    log.write_text("error: no\n")
    assert cli.refused(log, log.stat().st_mtime - 1) and not cli.refused(log, log.stat().st_mtime + 1), "an earlier run's log"
    assert not cli.refused(tmp_path / "none.log")
