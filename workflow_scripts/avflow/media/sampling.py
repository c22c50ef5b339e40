"""Choose the frames of a video that a model gets; the sample rate of its sound.

* Fixed rate (Qwen2.5-Omni): frames at exactly t = k / fps.
* Spread (video-SALMONN 2+): frames at even distances from the first frame to the last, one per `interval` seconds. A minimum and
  a maximum limit their number.
"""

import numpy as np

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


def spread_indices(frames: int, seconds: float, interval: float, min_frames: int, max_frames: int) -> np.ndarray:
    """Indices (n,) int of the frames to take from a video of `frames` frames and `seconds` seconds.

    Returns fewer than `min_frames` indices if the video has fewer frames.
    """
    count = min(max(round(seconds / interval), min_frames), max_frames)
    return np.unique(np.linspace(0, frames - 1, count, dtype=int))


def most_pixels(frames: int, spread: bool, max_frames: int, min_pixels: int, max_pixels: int, total_pixels: int | None) -> float:
    """The most pixels that each of a video's `frames` may have.

    spread: `max_pixels` for `max_frames` frames; fewer frames share 95 % of that total (the official video-SALMONN 2+ code).
    Fixed rate: `max_pixels`, but all temporal grids (two frames each) together get at most `total_pixels`, and no frame gets less
    than 1.05 times `min_pixels` (qwen-omni-utils 0.0.9).
    """
    if spread:
        return max_pixels if frames >= max_frames else 0.95 * max_frames / frames * max_pixels
    if total_pixels is None:
        return max_pixels
    return max(min(max_pixels, 2 * total_pixels / frames), 1.05 * min_pixels)
