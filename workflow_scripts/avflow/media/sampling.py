"""Arithmetic of sampling: which frames of a video a model gets, and at which size; the sample rate of its sound.

* Exact: frames at exactly t = k / fps.
* Official (Qwen2.5-Omni): an even number of frames, `fps` per second, spread over all pictures from the first to the last, as
  qwen-omni-utils 0.0.9 and qwen-vl-utils do.
* Spread (video-SALMONN 2+): frames at even distances from the first frame to the last, one per `interval` seconds. A minimum and
  a maximum limit their number.

`frame_plan` puts these together.
"""

import math

import numpy as np

from ..errors import InputError

FRAMES_PER_GRID = 2  # the vision encoders of all families take frames in pairs
SAMPLE_RATE = 16000  # Hz, for all sound
SHORTEST_SOUND = 321  # in samples: enough for one audio token of Qwen2.5-Omni (two frames of 10 ms and a sample)


def sample_times(seconds: float, fps: float, max_frames: int) -> tuple[np.ndarray, float]:
    """Times k / f (n,) in seconds, all before `seconds`, and the rate f that is used.

    f is `fps` divided by the smallest whole number that leaves at most `max_frames` frames. With a whole number the seconds per
    temporal grid stay exact, and the model's chunking depends on them.
    """
    divisor = max(1, int(seconds * fps / max_frames))  # the loop then makes one or two steps
    while int(np.ceil(seconds * fps / divisor - 1e-6)) > max_frames:
        divisor += 1
    rate = fps / divisor
    count = max(1, int(np.ceil(seconds * rate - 1e-6)))
    return np.arange(count) / rate, rate


def exact_indices(times: np.ndarray, tick: float, seconds: float, fps: float, max_frames: int) -> tuple[np.ndarray, float]:
    """Indices (n,) int of the pictures on show at `sample_times`, and the rate that is used.

    times: (N,) seconds at which each picture appears, sorted. tick: seconds by which the container may have rounded them.
    seconds: how long all pictures are shown.
    """
    at, rate = sample_times(seconds, fps, max_frames)
    slack = max(1e-4, 0.6 * tick) if tick < 2e-3 else 1e-4  # times are rounded to ticks, unless a tick is a frame
    return np.searchsorted(times - times[0], at + slack, side="right") - 1, rate


def official_count(frames: int, rate: float, fps: float, min_frames: int, max_frames: int) -> int:
    """The even number of frames that the official utilities take from `frames` pictures at `rate` per second.

    frames / rate * fps, at least `min_frames` and at most `max_frames` and `frames`, rounded down to an even number. The
    utilities refuse a video of one picture; here it gives 2.
    """
    least, most = (step(limit / 2) * 2 for step, limit in ((math.ceil, min_frames), (math.floor, max_frames)))
    count = min(max(frames / rate * fps, least), most, frames)
    return max(2, math.floor(count / 2) * 2)


def official_indices(frames: int, count: int) -> np.ndarray:
    """Indices (count,) int64, sorted, spread evenly over `frames` pictures from the first to the last, as the utilities do.

    A single picture is taken `count` times.
    """
    import torch  # its float32 decides how halves are rounded; most users of this module never need it

    return torch.linspace(0, frames - 1, count).round().long().numpy()


def spread_indices(frames: int, seconds: float, interval: float, min_frames: int, max_frames: int) -> np.ndarray:
    """Indices (n,) int of the frames to take from a video of `frames` frames and `seconds` seconds.

    Returns fewer than `min_frames` indices if the video has fewer frames.
    """
    count = min(max(round(seconds / interval), min_frames), max_frames)
    return np.unique(np.linspace(0, frames - 1, count, dtype=int))


def most_pixels(frames: int, spread: bool, max_frames: int, min_pixels: int, max_pixels: int, total_pixels: int | None) -> float:
    """The most pixels that each of a video's `frames` may have.

    spread: `max_pixels` for `max_frames` frames; fewer frames share 95 % of that total (the official video-SALMONN 2+ code).
    Otherwise: `max_pixels`, but all temporal grids (two frames each) together get at most `total_pixels`, and no frame gets less
    than 1.05 times `min_pixels` (qwen-omni-utils 0.0.9). So `total_pixels` does not bound a long video's pixels.
    """
    if spread:
        return max_pixels if frames >= max_frames else 0.95 * max_frames / frames * max_pixels
    if total_pixels is None:
        return max_pixels
    return min(max_pixels, max(FRAMES_PER_GRID * total_pixels / frames, int(1.05 * min_pixels)))


def resized_shape(height: int, width: int, multiple: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(height, width) after Qwen's smart resize: multiples of `multiple`, pixels within the limits, aspect ratio nearly kept.

    Raises InputError if one side is more than 200 times the other; the official code refuses such pictures, too.
    """
    if max(height, width) > 200 * min(height, width):
        raise InputError(f"a picture of {height} x {width} pixels is more than 200 times as long as wide; drop its question")
    h, w = round(height / multiple) * multiple, round(width / multiple) * multiple
    if h * w > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        h = max(multiple, math.floor(height / shrink / multiple) * multiple)
        w = max(multiple, math.floor(width / shrink / multiple) * multiple)
    elif h * w < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        h = math.ceil(height * grow / multiple) * multiple
        w = math.ceil(width * grow / multiple) * multiple
    return h, w
