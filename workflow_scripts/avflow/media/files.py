"""Probe, decode and write media files. A file that cannot be used raises `MediaError` with a reason.

`video` reads frames; `sampling` decides which. PyAV demuxes sound and mixes it down to mono, and librosa resamples it to 16 kHz.
No ffmpeg command is needed on the PATH.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..storage import whole
from . import video
from .containers import MediaError, check_file, open_media
from .sampling import SAMPLE_RATE
from .video import read_frames, read_spread_frames

__all__ = ["MediaError", "MediaFacts", "has_audio", "probe", "read_audio", "read_frames", "read_image", "read_spread_frames"]
__all__ += ["write_clip", "write_png", "write_wav"]


@dataclass(frozen=True)
class MediaFacts:
    """What `probe` finds in a file. Fields that do not apply are 0.

    seconds: duration of the video or sound. width, height: pixels after rotation. fps: frames per second. audio_rate: in Hz.
    audio_channels: 0 for no sound. audio_seconds: duration of the sound track. loudness: its root mean square, 1 is full scale.
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


def probe(path, kind: str, needs_audio: bool = False) -> MediaFacts:
    """Decode a whole file to check that it can be used. Finds truncated and damaged files before a long run starts.

    Raises MediaError; with `needs_audio` also for a video without an audio track.
    """
    if kind == "image":
        frame = read_image(path)
        return MediaFacts("image", width=frame.shape[3], height=frame.shape[2])
    if kind == "audio":
        samples, rate, channels = _read_audio(path)
        return MediaFacts("audio", len(samples) / rate, **_sound(samples, rate, channels))
    sounding = has_audio(path)
    if needs_audio and not sounding:
        raise MediaError("no_audio", f"{path}: it has no audio track, and this dataset needs one")
    reader = video.open_video(path)
    height, width = reader.size
    seconds, fps = float(reader.starts[-1] - reader.starts[0]) + 1.0 / reader.fps, reader.fps
    del reader  # an open decord reader decodes ahead
    video.check_frames(path)
    sound = _sound(*_read_audio(path)) if sounding else {}
    return MediaFacts("video", seconds, width, height, fps, **sound)


def has_audio(path) -> bool:
    """Whether a file has an audio track. Raises MediaError if it cannot be opened."""
    with open_media(path) as container:
        return bool(container.streams.audio)


def _sound(samples: np.ndarray, rate: int, channels: int) -> dict:
    """The fields of `MediaFacts` that describe a sound track."""
    loudness = float(np.sqrt(np.vdot(samples, samples) / len(samples)))
    return dict(audio_rate=rate, audio_channels=channels, audio_seconds=len(samples) / rate, loudness=loudness)


def _read_audio(path):
    """The whole first audio track as mono float32 (n,), its rate in Hz and channels. A late start is padded with silence."""
    pieces, begin = [], None
    with open_media(path) as container:
        if not container.streams.audio:
            raise MediaError("no_audio", f"{path}: it has no audio track")
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
            raise MediaError("truncated", f"{path}: the sound is damaged ({error.strerror}); download it again") from None
    seconds = sum(map(len, pieces)) / rate
    if seconds == 0:
        raise MediaError("no_audio", f"{path}: the audio track is empty")
    if seconds < declared - max(0.5, 0.05 * declared):
        raise MediaError(
            "truncated", f"{path}: only {seconds:.1f} of {declared:.1f} s of sound can be decoded; download it again"
        )
    if begin:
        pieces.insert(0, np.zeros(round(begin * rate), np.float32))
    return np.concatenate(pieces), rate, channels


def read_audio(path) -> np.ndarray:
    """A file's sound as mono float32 (n,) in -1..1 at 16 kHz. Raises MediaError."""
    samples, rate, _ = _read_audio(path)
    if rate != SAMPLE_RATE:
        import librosa  # the import takes two seconds, and most users of this module never resample

        samples = librosa.resample(samples, orig_sr=rate, target_sr=SAMPLE_RATE)
    return np.ascontiguousarray(samples, dtype=np.float32)


def read_image(path) -> np.ndarray:
    """A picture as uint8 (1, 3, H, W), rotated as its EXIF data says, transparency on white. Raises MediaError."""
    check_file(path)
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except UnidentifiedImageError:
        raise MediaError("unreadable", f"{path}: not a readable picture; download it again") from None
    except (OSError, SyntaxError) as error:
        raise MediaError("truncated", f"{path}: truncated or damaged ({error}); download it again") from None
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[None]


def write_clip(path, frames: np.ndarray, fps: int, audio: np.ndarray | None, rate: int) -> None:
    """Write uint8 frames (T, H, W, 3) and mono float32 audio (n,), or None, as H.264 and AAC. The file appears when complete."""
    with whole(path) as part, av.open(str(part), "w", format="mp4") as container:
        # with x264's macroblock tree every run writes different bytes, even with one thread, so it stays off
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


def write_wav(path, audio: np.ndarray, rate: int) -> None:
    """Write mono float32 audio (n,) as 16-bit PCM."""
    import soundfile

    soundfile.write(str(path), audio, rate, subtype="PCM_16")


def write_png(path, picture: np.ndarray) -> None:
    """Write a picture, uint8 (H, W, 3)."""
    Image.fromarray(picture).save(path)
