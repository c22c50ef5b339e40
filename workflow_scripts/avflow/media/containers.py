"""Open media files. A file that cannot be used raises a `MediaError` with one of the reasons listed here."""

import os
from pathlib import Path

import av

REASONS = ("missing", "empty_file", "unreadable", "truncated", "no_video", "no_frames", "no_audio", "too_long", "changed")


class MediaError(Exception):
    """A file cannot be used. `reason` is one of REASONS; the message names the file and the fault."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


def check_file(path) -> None:
    """Raises MediaError if the file does not exist or is empty."""
    path = Path(path)
    if not path.is_file():
        raise MediaError("missing", f"{path}: the file does not exist; download or render it again")
    if path.stat().st_size == 0:
        raise MediaError("empty_file", f"{path}: the file is empty; download or render it again")


def open_media(path):
    """The file as a PyAV container. Raises MediaError."""
    check_file(path)
    try:
        return av.open(os.path.abspath(path))  # FFmpeg would take a colon in a relative path for a protocol
    except (av.FFmpegError, OSError) as error:
        raise MediaError("unreadable", f"{path}: not a readable media file ({error.strerror}); download it again") from None
