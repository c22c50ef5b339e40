"""Probe, decode and write media files, with a named reason for every way in which a file can be bad.

Frames are read by decord, those that `sampling` names; where decord has no wheel or misreads, a PyAV reader gives the same.
Sound is demuxed and mixed down to mono by PyAV and resampled to 16 kHz by librosa. Nothing needs an ffmpeg command on the PATH.
"""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .sampling import sample_times, spread_indices

try:
    import decord
except ImportError:  # no wheel for this platform
    decord = None

SAMPLE_RATE = 16000
REASONS = ("missing", "empty_file", "unreadable", "truncated", "no_video", "no_audio")


class MediaError(Exception):
    """A file that cannot be used; `reason` is one of REASONS, the message names the file and what is wrong with it."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class MediaFacts:
    """What `probe` found: seconds, picture size after rotation, frames a second, and the sound's rate and channels (0 = none)."""

    kind: str
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    audio_rate: int = 0
    audio_channels: int = 0


def _check_file(path):
    path = Path(path)
    if not path.is_file():
        raise MediaError("missing", f"{path}: there is no such file; download or render it again")
    if path.stat().st_size == 0:
        raise MediaError("empty_file", f"{path}: the file has no bytes; download or render it again")


def _open(path):
    _check_file(path)
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise MediaError("unreadable", f"{path}: not a readable media file ({error.strerror}); download it again") from None


def probe(path, kind: str, needs_audio: bool = False) -> MediaFacts:
    """Open a file far enough to know that it can be used. Raises MediaError; `needs_audio` makes a silent video one.

    A video's index is read in full, so that a file that was cut off is found here and not in the middle of a run.
    """
    if kind == "image":
        frame = read_image(path)
        return MediaFacts("image", width=frame.shape[3], height=frame.shape[2])
    if kind == "audio":
        samples, rate, channels = _read_audio(path)
        return MediaFacts("audio", len(samples) / rate, audio_rate=rate, audio_channels=channels)
    with _open(path) as container:
        audio = container.streams.audio[0] if container.streams.audio else None
        if needs_audio and audio is None:
            raise MediaError("no_audio", f"{path}: there is no audio track, and this dataset needs one")
        rate, channels = (audio.rate, audio.channels) if audio is not None else (0, 0)
    reader = _reader(path)
    height, width = reader.size
    seconds = float(reader.starts[-1] - reader.starts[0]) + 1.0 / reader.fps
    return MediaFacts("video", seconds, width, height, reader.fps, rate, channels)


class _Decord:
    """Frames by decord. `starts` (n,) seconds at which each frame is first shown, `size` (height, width), `fps` on average."""

    def __init__(self, path):
        try:
            self.reader = decord.VideoReader(str(path), num_threads=1)
            self.starts = np.asarray(self.reader.get_frame_timestamp(range(len(self.reader))))[:, 0]
            self.fps = float(self.reader.get_avg_fps())
            self.size = self.reader[0].shape[:2]
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise _broken(path, error) from None
        self.path = path

    def frames(self, indices) -> np.ndarray:
        try:
            return self.reader.get_batch(list(indices)).asnumpy()  # (T, H, W, 3)
        except (decord.DECORDError, RuntimeError) as error:
            raise _broken(self.path, error) from None


class _PyAV:
    """The same by PyAV, which neither notices a cut-off file nor applies a display rotation by itself."""

    def __init__(self, path):
        self.path, starts = path, []
        with _open(path) as container:
            stream = container.streams.video[0]
            declared = stream.frames
            for packet in container.demux(stream):
                if packet.pts is not None:
                    starts.append(float(packet.pts * packet.time_base))
            self.fps = float(stream.average_rate or 0)
        if not starts or declared and len(starts) < declared:
            raise MediaError("truncated", f"{path}: {len(starts)} of {declared} frames are there; download it again")
        self.starts = np.sort(starts)
        self.size = self.frames([0]).shape[1:3]

    def frames(self, indices) -> np.ndarray:
        wanted, found = set(indices), {}
        with _open(self.path) as container:
            try:
                for n, frame in enumerate(container.decode(video=0)):
                    if n in wanted:
                        found[n] = np.rot90(frame.to_ndarray(format="rgb24"), (frame.rotation // 90) % 4)
                    if len(found) == len(wanted):
                        break
            except av.FFmpegError as error:
                raise _broken(self.path, error) from None
        if len(found) < len(wanted):
            raise MediaError("truncated", f"{self.path}: frame {min(wanted - set(found))} cannot be decoded; download it again")
        return np.stack([found[i] for i in indices])


def _broken(path, error):
    """Tell a video that is cut off or damaged from one that has no pictures at all."""
    with _open(path) as container:
        if not container.streams.video:
            return MediaError("no_video", f"{path}: there is no video track")
    first = str(error).strip().splitlines()[0][:120]
    return MediaError("truncated", f"{path}: cut off or damaged ({first}); download it again")


def _reader(path):
    """decord, except where it is missing and for rotated videos, whose rows it misreads when their width is not aligned."""
    with _open(path) as container:
        if not container.streams.video:
            raise MediaError("no_video", f"{path}: there is no video track")
        try:
            rotated = next(container.decode(video=0)).rotation != 0
        except (av.FFmpegError, StopIteration):
            raise MediaError("truncated", f"{path}: no picture can be decoded; download it again") from None
    return _PyAV(path) if decord is None or rotated else _Decord(path)


def read_frames(path, fps: float, max_frames: int) -> tuple[np.ndarray, float]:
    """The pictures on show at t = k / fps: uint8 (T, 3, H, W), and the fps used (see `sample_times`). Raises MediaError."""
    reader = _reader(path)
    starts = reader.starts - reader.starts[0]
    times, rate = sample_times(float(starts[-1]) + 1.0 / reader.fps, fps, max_frames)
    shown = np.searchsorted(starts, times + 1e-4, side="right") - 1
    unique, back = np.unique(shown, return_inverse=True)
    return reader.frames(unique.tolist())[back].transpose(0, 3, 1, 2), rate


def read_spread_frames(path, interval: float, min_frames: int, max_frames: int) -> tuple[np.ndarray, float]:
    """Frames spread over the video: uint8 (T, 3, H, W), and how many that makes a second (see `sampling`). Raises MediaError."""
    reader = _reader(path)
    seconds = len(reader.starts) / reader.fps
    indices = spread_indices(len(reader.starts), seconds, interval, min_frames, max_frames)
    return reader.frames(indices.tolist()).transpose(0, 3, 1, 2), len(indices) / seconds


def _read_audio(path):
    """The whole first audio track as mono float32 (n,), its rate and its channels; starts where the video starts."""
    pieces, begin = [], None
    with _open(path) as container:
        if not container.streams.audio:
            raise MediaError("no_audio", f"{path}: there is no audio track")
        stream = container.streams.audio[0]
        rate, channels = stream.rate, stream.channels
        declared = float(stream.duration * stream.time_base) if stream.duration else 0.0
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        try:
            for frame in container.decode(stream):
                if begin is None:
                    begin = max(0.0, float((frame.pts or 0) * frame.time_base))
                frame.pts = None
                pieces += [f.to_ndarray().ravel() for f in resampler.resample(frame)]
            pieces += [f.to_ndarray().ravel() for f in resampler.resample(None)]
        except av.FFmpegError as error:
            raise MediaError("truncated", f"{path}: damaged sound ({error.strerror}); download it again") from None
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if len(samples) == 0:
        raise MediaError("no_audio", f"{path}: the audio track holds no sound")
    if len(samples) / rate < declared - max(0.5, 0.05 * declared):
        raise MediaError(
            "truncated", f"{path}: {len(samples) / rate:.1f} of {declared:.1f} s of sound are there; download it again"
        )
    return np.concatenate([np.zeros(round(begin * rate), np.float32), samples]), rate, channels


def read_audio(path) -> np.ndarray:
    """A file's sound as float32 (n,) in -1..1, mono, 16 kHz. Raises MediaError."""
    import librosa  # slow to import, needed here only

    samples, rate, _ = _read_audio(path)
    if rate != SAMPLE_RATE:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=SAMPLE_RATE)
    return np.ascontiguousarray(samples, dtype=np.float32)


def read_image(path) -> np.ndarray:
    """A picture as uint8 (1, 3, H, W): turned as its EXIF says, transparency laid over white. Raises MediaError."""
    _check_file(path)
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except UnidentifiedImageError:
        raise MediaError("unreadable", f"{path}: not a readable picture; download it again") from None
    except (OSError, SyntaxError) as error:
        raise MediaError("truncated", f"{path}: cut off or damaged ({error}); download it again") from None
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[None]


def write_clip(path, frames: np.ndarray, fps: int, audio: np.ndarray | None, rate: int) -> None:
    """Write uint8 frames (T, H, W, 3) and mono float32 audio (n,) as H.264 + AAC; the file appears only when it is whole."""
    part = Path(f"{path}.part")
    with av.open(str(part), "w", format="mp4") as container:
        # x264's macroblock tree writes other bytes on each run, whatever the number of threads, so it stays off
        options = {"preset": "veryfast", "crf": "18", "x264-params": "threads=1:rc-lookahead=0:mbtree=0"}
        video = container.add_stream("libx264", rate=fps, options=options)
        video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="mono", bit_rate=96000) if audio is not None else None
        for picture in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(video.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio, np.float32)[None], format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            fifo = av.AudioFifo()
            fifo.write(frame)
            for piece in fifo.read_many(1024, partial=True):
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
    os.replace(part, path)


def write_wav(path, audio: np.ndarray, rate: int) -> None:
    """Write mono float32 (n,) as 16-bit PCM."""
    import soundfile

    soundfile.write(str(path), audio, rate, subtype="PCM_16")


def write_png(path, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 3)."""
    Image.fromarray(picture).save(path)
