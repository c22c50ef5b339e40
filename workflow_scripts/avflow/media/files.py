"""Probe and write media files. A file that cannot be used raises `MediaError` with a reason.

`video` reads frames, `sound` reads sound and `images` reads pictures; `sampling` decides which frames. No ffmpeg command is
needed on the PATH.
"""

import contextlib
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from ..storage import whole
from . import clock, sound, video
from .containers import MediaError, check_file, main_track, open_media
from .images import read_image
from .sound import read_audio
from .video import read_frames, read_spread_frames

__all__ = [
    "MediaError",
    "MediaFacts",
    "has_audio",
    "kind_of",
    "probe",
    "read_audio",
    "read_frames",
    "read_image",
    "read_spread_frames",
]
__all__ += ["write_clip", "write_png", "write_wav"]


@dataclass(frozen=True)
class MediaFacts:
    """What `probe` finds in a file. Fields that do not apply are 0.

    seconds: duration of the video or sound. width, height: pixels after rotation. fps: frames per second. audio_rate: in Hz.
    audio_channels: 0 for no sound. audio_seconds: duration of the sound from the first picture on. loudness: its root mean
    square, 1 is full scale. reader: the library that reads the frames, pyav or decord.
    """

    kind: str
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    audio_rate: int = 0
    audio_channels: int = 0
    audio_seconds: float = 0.0
    loudness: float = 0.0
    reader: str = ""


def probe(path, kind: str, needs_audio: bool = False, reader: str = "auto", largest: int = video.LARGEST) -> MediaFacts:
    """Decode a whole file to check that it can be used. Finds truncated and damaged files before a long run starts.

    reader: auto, pyav or decord, as in `read_frames`. largest: the most pixels of a picture. Raises MediaError; with
    `needs_audio` also for a video without an audio track.
    """
    if kind == "image":
        frame = read_image(path, largest)
        return MediaFacts("image", width=frame.shape[3], height=frame.shape[2])
    if kind == "audio":
        heard = sound.measure(path)
        return MediaFacts("audio", heard.seconds, **_sound(heard))
    index = clock.scan(path)
    if needs_audio and not index.sounding:
        raise MediaError("no_audio", f"{path}: it has no audio track, and this dataset needs one")
    shown = video.decode_all(path, index, largest)
    height, width = shown.size
    fps = shown.fps if abs(shown.fps - shown.spacing) < 0.01 * shown.spacing else shown.spacing
    used = "decord" if reader == "decord" else "pyav"
    if used == "decord":
        read_spread_frames(path, 1.0, 4, 64, lambda frames, _: frames[:, :, :1, :1], reader, largest)  # compares them
    facts = MediaFacts("video", shown.seconds, width, height, fps, reader=used)
    return replace(facts, **_sound(sound.measure(path, float(shown.times[0])))) if index.sounding else facts


def kind_of(path) -> str:
    """What a file is: "video", "image" or "audio". An animated picture is a video. Raises MediaError if it is none of them."""
    check_file(path)
    with contextlib.suppress(Exception), Image.open(path) as picture:  # bad bytes make Pillow's plugins raise nearly anything
        if not getattr(picture, "is_animated", False):
            return "image"
    with open_media(path) as container:
        kinds = [kind for kind in ("video", "audio") if main_track(path, container, kind) is not None]
    if not kinds:
        raise MediaError("unsupported", f"{path}: it has neither pictures nor sound; name a clip, a picture or a sound")
    return kinds[0]


def has_audio(path) -> bool:
    """Whether a file has an audio track. Raises MediaError if it cannot be opened."""
    with open_media(path) as container:
        return main_track(path, container, "audio") is not None


def _sound(heard: sound.SoundFacts) -> dict:
    """The fields of `MediaFacts` that describe a sound track."""
    facts = dict(audio_rate=heard.rate, audio_channels=heard.channels, audio_seconds=heard.seconds)
    return facts | dict(loudness=heard.loudness)


def write_clip(path, frames: np.ndarray, fps: int, audio: np.ndarray | None, rate: int) -> None:
    """Write uint8 frames (T, H, W, 3) and mono float32 audio (n,), or None, as H.264 and AAC. The file appears when complete."""
    with whole(path) as part, av.open(str(part), "w", format="mp4") as container:
        # with x264's macroblock tree every run writes different bytes, even with one thread, so it stays off
        options = {"preset": "veryfast", "crf": "18", "x264-params": "threads=1:rc-lookahead=0:mbtree=0"}
        pictures = container.add_stream("libx264", rate=fps, options=options)
        pictures.height, pictures.width, pictures.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        track = container.add_stream("aac", rate=rate, layout="mono", bit_rate=96000) if audio is not None else None
        for picture in frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(pictures.encode(None))
        if track is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio, np.float32)[None], format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            fifo = av.AudioFifo()
            fifo.write(frame)
            for piece in fifo.read_many(1024, partial=True):
                container.mux(track.encode(piece))
            container.mux(track.encode(None))


def write_wav(path, audio: np.ndarray, rate: int) -> None:
    """Write mono float32 audio (n,) as 16-bit PCM."""
    import soundfile

    soundfile.write(str(path), audio, rate, subtype="PCM_16")


def write_png(path, picture: np.ndarray) -> None:
    """Write a picture, uint8 (H, W, 3)."""
    Image.fromarray(picture).save(path)
