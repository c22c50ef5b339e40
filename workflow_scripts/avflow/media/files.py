"""Probe, decode and write media files, with a named reason for every way in which a file can be bad.

Frames are read by `video`, those that `sampling` names. Sound is demuxed and mixed down to mono by PyAV and resampled to 16 kHz
by librosa. Nothing needs an ffmpeg command on the PATH.
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
    """What `probe` found: seconds, picture size after rotation, frames a second; the sound's rate and channels (0 = none),

    seconds, and root mean square (1 = full scale).
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
    """Decode a whole file to know that it can be used. Raises MediaError; `needs_audio` makes a silent video one.

    A file that is cut off or damaged is found here, and not in the middle of a run.
    """
    if kind == "image":
        frame = read_image(path)
        return MediaFacts("image", width=frame.shape[3], height=frame.shape[2])
    if kind == "audio":
        samples, rate, channels = _read_audio(path)
        return MediaFacts("audio", len(samples) / rate, **_sound(samples, rate, channels))
    sounding = has_audio(path)
    if needs_audio and not sounding:
        raise MediaError("no_audio", f"{path}: there is no audio track, and this dataset needs one")
    reader = video.open_video(path)
    height, width = reader.size
    seconds, fps = float(reader.starts[-1] - reader.starts[0]) + 1.0 / reader.fps, reader.fps
    del reader  # an open decord reader decodes ahead
    video.check_frames(path)
    sound = _sound(*_read_audio(path)) if sounding else {}
    return MediaFacts("video", seconds, width, height, fps, **sound)


def has_audio(path) -> bool:
    """Whether a file has an audio track. Raises MediaError."""
    with open_media(path) as container:
        return bool(container.streams.audio)


def _sound(samples: np.ndarray, rate: int, channels: int) -> dict:
    """The facts about a sound track."""
    loudness = float(np.sqrt(np.vdot(samples, samples) / len(samples)))
    return dict(audio_rate=rate, audio_channels=channels, audio_seconds=len(samples) / rate, loudness=loudness)


def _read_audio(path):
    """The whole first audio track as mono float32 (n,), its rate and its channels; starts where the video starts."""
    pieces, begin = [], None
    with open_media(path) as container:
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
    seconds = sum(map(len, pieces)) / rate
    if seconds == 0:
        raise MediaError("no_audio", f"{path}: the audio track holds no sound")
    if seconds < declared - max(0.5, 0.05 * declared):
        raise MediaError("truncated", f"{path}: {seconds:.1f} of {declared:.1f} s of sound are there; download it again")
    if begin:
        pieces.insert(0, np.zeros(round(begin * rate), np.float32))
    return np.concatenate(pieces), rate, channels


def read_audio(path) -> np.ndarray:
    """A file's sound as float32 (n,) in -1..1, mono, 16 kHz. Raises MediaError."""
    samples, rate, _ = _read_audio(path)
    if rate != SAMPLE_RATE:
        import librosa  # takes two seconds, and much of what imports this module never resamples

        samples = librosa.resample(samples, orig_sr=rate, target_sr=SAMPLE_RATE)
    return np.ascontiguousarray(samples, dtype=np.float32)


def read_image(path) -> np.ndarray:
    """A picture as uint8 (1, 3, H, W): turned as its EXIF says, transparency laid over white. Raises MediaError."""
    check_file(path)
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
    with whole(path) as part, av.open(str(part), "w", format="mp4") as container:
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


def write_wav(path, audio: np.ndarray, rate: int) -> None:
    """Write mono float32 (n,) as 16-bit PCM."""
    import soundfile

    soundfile.write(str(path), audio, rate, subtype="PCM_16")


def write_png(path, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 3)."""
    Image.fromarray(picture).save(path)
