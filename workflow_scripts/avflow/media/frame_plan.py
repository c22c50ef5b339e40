"""Plan which frames of a clip a model gets and at which size, so that the clip fits into the model's context.

A plan follows from the clip and its sampling (`sampling` in config.yaml), and from nothing else. Without `max_tokens` it is the
sampling as it stands. With it, a clip whose pictures, sound and text would take more tokens is sampled more coarsely, in this
order, until it fits:

1. fps / 2, fps / 3, .., while that is at least `min_fps`;
2. at the coarsest of these rates, fewer pixels per frame, down to those of 2 x 2 tokens.

The sound stays whole. A clip that does not fit even then keeps the smallest plan, and `fits` is False.
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from . import sampling
from .sampling import FRAMES_PER_GRID, SAMPLE_RATE

TEMPLATE = 256  # tokens kept free for the system turn and the chat template; with config.yaml's prompts they take 40 to 80


@dataclass(frozen=True)
class Sampling:
    """How media become frames; an entry of `sampling` in config.yaml.

    frames: "exact" or "official", with `fps`; without `fps` the frames are spread, one per `interval` seconds. rate: with
    "official", the frame rate that positions are computed from: "sampled", that of the frames taken, or "nominal", `fps`.
    multiple: a frame's sides are multiples of it, in pixels. max_tokens: of a question's prompt. audio_per_second: tokens of a
    second of sound, of which the model hears at most `audio_seconds`.
    """

    max_frames: int
    multiple: int
    min_pixels: int
    max_pixels: int
    fps: float | None = None
    interval: float | None = None
    frames: str = "exact"
    rate: str = "sampled"
    min_frames: int = 1
    total_pixels: int | None = None
    max_tokens: int | None = None
    min_fps: float = 1.0
    audio_per_second: float = 0.0
    audio_seconds: float = math.inf

    @classmethod
    def of(cls, settings) -> "Sampling":
        """From a mapping or a namespace. Other names, and values that are None, are passed over."""
        given = settings if isinstance(settings, dict) else vars(settings)
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in names and value is not None})

    def sound_tokens(self, samples: int) -> int:
        """Tokens of a sound of `samples` at 16 kHz, rounded up; 0 if the sampling does not say."""
        return math.ceil(self.audio_per_second * min(samples / SAMPLE_RATE, self.audio_seconds)) if samples else 0


@dataclass(frozen=True)
class Clip:
    """What a plan depends on, besides the sampling.

    frames: pictures that really decode. seconds: how long they are shown. rate: pictures per second. height, width: in pixels.
    samples: of its sound at 16 kHz. text: the most bytes of text in a question about it; a token has at least one byte. media:
    the most media in such a question; each of them gets an equal share of `max_tokens`.
    """

    frames: int
    seconds: float
    rate: float
    height: int
    width: int
    samples: int = 0
    text: int = 0
    media: int = 1


@dataclass(frozen=True)
class Plan:
    """The frames of one clip. divisor: that of `fps`. fps: the frame rate that the model is told. height, width: in pixels.

    shrunk: the frames have fewer pixels than the sampling asks for. visual, sound: tokens. room: the tokens that visual and
    sound may take together, or infinity.
    """

    divisor: int
    count: int
    fps: float
    height: int
    width: int
    shrunk: bool
    visual: int
    sound: int
    room: float

    @property
    def tokens(self) -> int:
        return self.visual + self.sound

    @property
    def fits(self) -> bool:
        return self.tokens <= self.room


def plan(clip: Clip, how: Sampling) -> Plan:
    """The first plan, from fine to coarse, that fits into `how.max_tokens`; else the coarsest.

    Raises InputError if one side of the pictures is more than 200 times the other.
    """
    room = math.inf if how.max_tokens is None else (how.max_tokens - TEMPLATE - clip.text) / clip.media
    found, divisor = _sized(clip, how, 1, room), 2
    while not found.fits and how.fps and how.fps / divisor >= how.min_fps - 1e-9:
        coarser = _sized(clip, how, divisor, room)
        found = coarser if coarser.count < found.count else found  # max_frames may have taken as few
        divisor += 1
    least = (2 * how.multiple) ** 2  # pixels of 2 x 2 tokens
    most = (room - found.sound) // max(1, grids(found.count)) * how.multiple**2
    while not found.fits:
        found = _sized(clip, how, found.divisor, room, max(least, most))
        if most <= least:
            return found
        most *= 0.9  # of a narrow picture the size is rounded up
    return found


def grids(count: int) -> int:
    """Temporal grids of `count` frames."""
    return -(-count // FRAMES_PER_GRID)


def _sized(clip: Clip, how: Sampling, divisor: int, room: float, most: float | None = None) -> Plan:
    """The plan with `fps / divisor`. most: the most pixels per frame, if fewer than the sampling allows."""
    count, fps = _count(clip, how, divisor)
    limit = sampling.most_pixels(
        count, how.interval is not None, how.max_frames, how.min_pixels, how.max_pixels, how.total_pixels
    )
    shrunk = most is not None and most < limit
    least = min(how.min_pixels, (2 * how.multiple) ** 2) if shrunk else how.min_pixels
    height, width = sampling.resized_shape(clip.height, clip.width, how.multiple, least, most if shrunk else limit)
    visual = grids(count) * (height // how.multiple) * (width // how.multiple)
    return Plan(divisor, count, fps, height, width, shrunk, visual, how.sound_tokens(clip.samples), room)


def _count(clip: Clip, how: Sampling, divisor: int) -> tuple[int, float]:
    """The number of frames with `fps / divisor`, and the rate that the model is told."""
    if how.interval is not None:
        count = len(sampling.spread_indices(clip.frames, clip.seconds, how.interval, how.min_frames, how.max_frames))
        return count, count / clip.seconds
    if how.frames == "exact":
        times, fps = sampling.sample_times(clip.seconds, how.fps / divisor, how.max_frames)
        return len(times), fps
    count = sampling.official_count(clip.frames, clip.rate, how.fps / divisor, how.min_frames, how.max_frames)
    return count, how.fps / divisor if how.rate == "nominal" else count / clip.frames * clip.rate


def indices(shown, how: Sampling, planned: Plan) -> np.ndarray:
    """Which pictures a plan takes: indices (planned.count,) int, sorted.

    shown: the pictures on show, with `times` (N,) in seconds, `seconds` and `tick`.
    """
    if how.interval is not None:
        return sampling.spread_indices(len(shown.times), shown.seconds, how.interval, how.min_frames, how.max_frames)
    if how.frames == "exact":
        return sampling.exact_indices(shown.times, shown.tick, shown.seconds, how.fps / planned.divisor, how.max_frames)[0]
    return sampling.official_indices(len(shown.times), planned.count)
