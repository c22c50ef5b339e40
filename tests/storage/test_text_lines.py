"""Lines end at line feeds alone, and a file in another encoding is named with its line."""

import pytest

from avflow.errors import InputError
from avflow.storage import lines_of

INSIDE = ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]


def written(path, data: bytes):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("character", INSIDE)
def test_other_line_separators_are_part_of_the_line(tmp_path, character):
    path = written(tmp_path / "q.jsonl", f"one{character}two\nthree\n".encode())
    assert lines_of(path) == [f"one{character}two", "three", ""]


def test_windows_line_ends_and_a_byte_order_mark_are_taken_off(tmp_path):
    assert lines_of(written(tmp_path / "q.jsonl", b"\xef\xbb\xbfone\r\ntwo\r\n")) == ["one", "two", ""]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("erste\nd\u00e9j\u00e0\n".encode("latin-1"), r"q\.jsonl, line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("one\n".encode("utf-16"), r"q\.jsonl, line 1: the file is UTF-16, not UTF-8; save it as UTF-8"),
        ("one\n".encode("utf-16-le"), r"q\.jsonl, line 1: the file looks like UTF-16, not UTF-8; save it as UTF-8"),
        ("听\n".encode("gb18030"), r"q\.jsonl, line 1: byte 0x\w\w is not UTF-8"),
    ],
)
def test_another_encoding_is_named_with_file_line_and_remedy(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        lines_of(written(tmp_path / "q.jsonl", data))
