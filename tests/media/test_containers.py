"""A file that cannot be opened has a named reason, and its message names the file."""

import os

import pytest

from avflow.media import MediaError
from avflow.media.containers import REASONS, check_file, open_media


@pytest.mark.parametrize(("content", "reason"), [(None, "missing"), (b"", "empty_file"), (b"no film", "unreadable")])
def test_a_file_that_cannot_be_opened_has_its_reason(tmp_path, content, reason):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        open_media(path)
    assert caught.value.reason == reason in REASONS
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_file_with_bytes_passes_the_first_check(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"no film")
    assert check_file(tmp_path / "clip.mp4") is None


def test_paths_that_are_no_files_are_missing_or_unreadable(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", tmp_path, "/dev/zero", tmp_path / ("x" * 300 + ".mp4"), "nul\0byte.mp4"):
        with pytest.raises(MediaError) as caught:
            check_file(path)
        assert caught.value.reason == "missing" and "\n" not in str(caught.value)
