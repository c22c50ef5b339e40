"""Read the frames of a video that `sampling` selects.

decord reads them. PyAV takes over if decord has no wheel for the platform, fails, or would misread the video. Frames come in
batches that the caller shrinks one by one, so a long video is never in memory at full size.
"""

import itertools
import os

import av
import numpy as np

from .containers import MediaError, open_media
from .sampling import sample_times, spread_indices

try:
    import decord
except ImportError:  # no wheel for this platform
    decord = None

BATCH = 64_000_000  # bytes of decoded pictures per batch
SPARE = 0.95  # a video is complete if this share of its frames can be decoded: cutting a clip may spoil frames at its ends


class _Decord:
    """Reads frames with decord. starts: (n,) seconds at which each frame is first shown. size: (height, width). fps: the mean."""

    def __init__(self, path):
        try:
            self.reader = decord.VideoReader(os.path.abspath(path), num_threads=1)
            self.starts = np.asarray(self.reader.get_frame_timestamp(range(len(self.reader))))[:, 0]
            self.fps = float(self.reader.get_avg_fps())
            self.size = self.reader[0].shape[:2]
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise _broken(path, error) from None
        self.path = path

    def batches(self, indices, count: int):
        """Yield frames at sorted indices, uint8 (count, H, W, 3); the last batch may be smaller."""
        for first in range(0, len(indices), count):
            try:
                yield self.reader.get_batch(indices[first : first + count]).asnumpy()
            except (decord.DECORDError, RuntimeError) as error:
                raise _broken(self.path, error) from None


class _PyAV:
    """The same with PyAV. PyAV neither notices a truncated file nor applies a display rotation, so this class does both."""

    def __init__(self, path):
        self.path, starts = path, []
        with open_media(path) as container:
            stream = container.streams.video[0]
            declared = stream.frames
            for packet in container.demux(stream):
                if packet.pts is not None:
                    starts.append(float(packet.pts * packet.time_base))
            self.fps = float(stream.average_rate or 0)
        if not starts or declared and len(starts) < declared:
            raise MediaError("truncated", f"{path}: only {len(starts)} of {declared} frames are in the file; download it again")
        self.starts = np.sort(starts)
        if not self.fps:
            self.fps = (len(starts) - 1) / (self.starts[-1] - self.starts[0]) if len(starts) > 1 else 1.0
        self.size = next(self.batches([0], 1)).shape[1:3]

    def batches(self, indices, count: int):
        """Like `_Decord.batches`, in one pass over the video."""
        pictures = self._pictures(indices)
        while held := list(itertools.islice(pictures, count)):
            yield np.stack(held)

    def _pictures(self, indices):
        """Yield one picture per index, in order. If the last few frames do not decode, the last one that does replaces them."""
        wanted, n = set(indices), -1
        with open_media(self.path) as container:
            try:
                for n, frame in enumerate(container.decode(video=0)):
                    if n in wanted:
                        yield _upright(frame)
                    if n == indices[-1]:
                        return
            except av.FFmpegError as error:
                raise _broken(self.path, error) from None
        if n + 1 < SPARE * len(self.starts):
            missing = next(i for i in indices if i > n)
            raise MediaError("truncated", f"{self.path}: frame {missing} cannot be decoded; download it again")
        for _ in range(sum(i > n for i in indices)):
            yield _upright(frame)


def _upright(frame) -> np.ndarray:
    """A decoded frame as uint8 (H, W, 3), with the video's display rotation applied."""
    return np.rot90(frame.to_ndarray(format="rgb24"), (frame.rotation // 90) % 4)


def _broken(path, error):
    """The MediaError for a video that cannot be read: no_video if it has no video track, else truncated."""
    with open_media(path) as container:
        if not container.streams.video:
            return MediaError("no_video", f"{path}: it has no video track")
    first = str(error).strip().splitlines()[0][:120]
    return MediaError("truncated", f"{path}: truncated or damaged ({first}); download it again")


def open_video(path):
    """Open a reader for a video's frames. Raises MediaError.

    Uses decord, or PyAV if decord is missing or fails. Rotated videos also go through PyAV, because decord misreads their rows if
    the width is not aligned.
    """
    with open_media(path) as container:
        if not container.streams.video:
            raise MediaError("no_video", f"{path}: it has no video track")
        try:
            rotated = next(container.decode(video=0)).rotation != 0
        except av.FFmpegError:
            raise MediaError("truncated", f"{path}: no picture can be decoded; download it again") from None
        except StopIteration:
            raise MediaError("no_frames", f"{path}: the video track has no pictures; download it again") from None
    if decord is None or rotated:
        return _PyAV(path)
    try:
        return _Decord(path)
    except MediaError:
        return _PyAV(path)


def check_frames(path) -> int:
    """Decode a whole video without converting its pictures. Returns their number.

    `read_frames` does not fail on a video that passes. Raises MediaError.
    """
    packets = frames = 0
    with open_media(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # many files are checked in parallel
        try:
            for packet in container.demux(stream):
                packets += packet.size > 0
                frames += len(packet.decode())
        except av.FFmpegError as error:
            raise _broken(path, error) from None
        declared = stream.frames
    if frames == 0:
        raise MediaError("no_frames", f"{path}: no picture can be decoded; download it again")
    if frames < SPARE * max(packets, declared):
        raise MediaError("truncated", f"{path}: {frames} of {max(packets, declared)} frames can be decoded; download it again")
    return frames


def _read(path, choose, shrink):
    """Return (frames, facts). choose(reader) returns (sorted indices (n,), facts); shrink is applied to each batch."""
    reader = open_video(path)
    indices, facts = choose(reader)
    unique, back = np.unique(indices, return_inverse=True)
    count = max(1, BATCH // (3 * reader.size[0] * reader.size[1]))
    turned = lambda batch: np.ascontiguousarray(batch.transpose(0, 3, 1, 2))  # noqa: E731
    try:
        found = [shrink(turned(batch), len(indices)) for batch in reader.batches(unique.tolist(), count)]
    except MediaError:
        if isinstance(reader, _PyAV):
            raise
        found = [shrink(turned(batch), len(indices)) for batch in _PyAV(path).batches(unique.tolist(), count)]
    frames = np.concatenate(found)
    return (frames if len(unique) == len(indices) else frames[back]), facts


def as_is(frames, count):
    return frames


def read_frames(path, fps: float, max_frames: int, shrink=as_is) -> tuple[np.ndarray, float]:
    """The pictures shown at t = k / fps, uint8 (T, 3, H, W), and the fps used (see `sample_times`). Raises MediaError.

    shrink(frames, T) is called with each decoded batch and the total number of frames; the batches it returns are kept.
    """

    def choose(reader):
        starts = reader.starts - reader.starts[0]
        times, rate = sample_times(float(starts[-1]) + 1.0 / reader.fps, fps, max_frames)
        return np.searchsorted(starts, times + 1e-4, side="right") - 1, rate

    return _read(path, choose, shrink)


def read_spread_frames(path, interval: float, min_frames: int, max_frames: int, shrink=as_is) -> tuple[np.ndarray, float]:
    """Frames spread over the video, uint8 (T, 3, H, W), and their number per second (see `sampling`). Raises MediaError.

    shrink: as in `read_frames`.
    """

    def choose(reader):
        seconds = len(reader.starts) / reader.fps
        indices = spread_indices(len(reader.starts), seconds, interval, min_frames, max_frames)
        return indices, len(indices) / seconds

    return _read(path, choose, shrink)
