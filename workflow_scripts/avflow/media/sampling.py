"""Which frames of a video a model is given, and the rate of its sound.

Two kinds: at a fixed rate, frames at exactly t = k / fps (Qwen2.5-Omni); spread, one frame for every `interval` seconds
between a least and a largest number, evenly over the video from its first frame to its last (video-SALMONN 2+).
"""

import numpy as np

SAMPLE_RATE = 16000  # of all sound, in Hz


def sample_times(seconds: float, fps: float, max_frames: int) -> tuple[np.ndarray, float]:
    """Times k / f (n,) before `seconds`, and f: `fps` divided by the smallest whole number that leaves at most `max_frames`.

    Dividing by a whole number keeps the seconds per temporal grid exact, on which the model's chunking depends.
    """
    divisor = 1
    while int(np.ceil(seconds * fps / divisor - 1e-6)) > max_frames:
        divisor += 1
    rate = fps / divisor
    count = max(1, int(np.ceil(seconds * rate - 1e-6)))
    return np.arange(count) / rate, rate


def spread_indices(frames: int, seconds: float, interval: float, min_frames: int, max_frames: int) -> np.ndarray:
    """Indices (n,) int of the frames to take of a video of so many frames and seconds; fewer than min_frames if it has fewer."""
    count = min(max(round(seconds / interval), min_frames), max_frames)
    return np.unique(np.linspace(0, frames - 1, count, dtype=int))


def most_pixels(frames: int, spread: bool, max_frames: int, min_pixels: int, max_pixels: int, total_pixels: int | None) -> float:
    """Pixels that each of a video's `frames` may have.

    spread: fewer frames share out 95 % of the pixels of `max_frames` (the official video-SALMONN 2+ code). At a fixed rate:
    `max_pixels`, but all temporal grids (two frames) together at most `total_pixels`, and no frame under 1.05 times `min_pixels`
    (qwen-omni-utils 0.0.9).
    """
    if spread:
        return max_pixels if frames >= max_frames else 0.95 * max_frames / frames * max_pixels
    if total_pixels is None:
        return max_pixels
    return max(min(max_pixels, 2 * total_pixels / frames), 1.05 * min_pixels)
