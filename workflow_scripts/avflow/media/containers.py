"""Open media files. A file that cannot be used raises a `MediaError` with one of the reasons listed here."""

import contextlib
import os
import stat

import av
from av.stream import Disposition

from .structure import ends_early, kind_of_bytes

REASONS = (
    *("missing", "empty_file", "unreadable", "unsupported", "truncated", "damaged", "no_video", "no_frames", "no_audio"),
    *("too_long", "too_short", "too_large", "extreme_shape", "bad_times", "bad_samples", "misread", "changed"),
)
AGAIN = "replace the file by an intact copy, or download it again"
CONVERT = "convert it with FFmpeg: ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4"
FAULTS = (av.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError, EOFError)  # what bad bytes make PyAV raise
COVER = Disposition.attached_pic | Disposition.timed_thumbnails

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own lines name no file; every fault becomes a MediaError that does


class MediaError(Exception):
    """A file cannot be used. `reason` is one of REASONS; the message names the file, the fault and a remedy."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


@contextlib.contextmanager
def faults(path, reason: str, what: str, remedy: str = AGAIN):
    """Turn what bad bytes raise into a MediaError: "`path`: `what` (the error); `remedy`"."""
    try:
        yield
    except MediaError:
        raise
    except FAULTS as error:
        said = getattr(error, "strerror", None) or " ".join(str(error).split())[:120] or type(error).__name__
        raise MediaError(reason, f"{path}: {what} ({said}); {remedy}") from None


def check_file(path) -> None:
    """Raises MediaError if the file does not exist, is empty or is known to be no medium."""
    shown = str(path)[:300].encode("unicode_escape").decode()
    try:
        facts = os.stat(path)
    except PermissionError:
        raise MediaError("unreadable", f"{path}: it cannot be opened (Permission denied); check its permissions") from None
    except (OSError, ValueError):  # ValueError: a NUL in the path
        raise MediaError(
            "missing", f"{shown}: the file does not exist; put it there, or correct the path in the question"
        ) from None
    if not stat.S_ISREG(facts.st_mode):
        raise MediaError(
            "missing", f"{path}: it is a folder, a pipe or a device and not a file; correct the path in the question"
        )
    if facts.st_size == 0:
        raise MediaError("empty_file", f"{path}: the file is empty; {AGAIN}")
    with faults(path, "unreadable", "it cannot be opened", "check its permissions"), open(path, "rb") as file:
        found = kind_of_bytes(file.read(4096))
    if found:
        raise MediaError(found[0], f"{path}: it is {found[1]}")


def open_media(path):
    """The file as a PyAV container. Raises MediaError.

    Tags may be in any encoding. Only this file is opened: a playlist cannot lead to other files or into the network.
    """
    check_file(path)
    if ends_early(path):
        raise MediaError("truncated", f"{path}: the file ends before its last part does; {AGAIN}")
    with faults(path, "unreadable", "not a readable media file"):
        # an absolute path, because FFmpeg takes what stands before a colon for a protocol
        container = av.open(os.path.abspath(path), metadata_errors="replace", options={"protocol_whitelist": "file"})
    if container.format.name == "tty":  # FFmpeg draws plain text as if on a terminal
        container.close()
        raise MediaError("unreadable", f"{path}: it is a text, not a medium; {AGAIN}")
    return container


def main_track(path, container, kind: str):
    """The track that a player chooses: the first "video" or "audio" track marked as default, else the first; None without one.

    A cover picture is not a video track. Raises MediaError if FFmpeg has no decoder for the track.
    """
    tracks = [s for s in container.streams if s.type == kind and not s.disposition & COVER]
    track = next((s for s in tracks if s.disposition & Disposition.default), tracks[0] if tracks else None)
    if track is not None and track.codec_context is None:
        raise MediaError("unsupported", f"{path}: FFmpeg cannot decode its {kind} track; {CONVERT}")
    return track
