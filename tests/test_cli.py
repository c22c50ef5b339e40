"""Errors of a command line are one line. Also tests avflow.errors."""

import pytest

from avflow import cli


@pytest.mark.parametrize(
    ("number", "said"),
    [(30, "r.parquet is on a read-only disk; change its permissions"), (13, "r.parquet may not be written or read; change its")],
)
def test_a_file_that_cannot_be_written_is_one_line(capsys, number, said):
    def main():
        raise OSError(number, "no", "r.parquet")

    with pytest.raises(SystemExit, match="2"):
        cli.run(main)
    err = capsys.readouterr().err
    assert err.startswith(f"error: {said}") and err.count("\n") == 1
