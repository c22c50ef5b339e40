"""Short clips whose frames carry their number as black and white stripes, and whose sound beeps at known times.

A `Recipe` says how a clip is made, and a `Truth` what a player shows and sounds. `clip_writer.make` turns one into the other.
`shown` and `heard` find the same in a file with a plain sequential decode; they know nothing of the reader under test.

All times of a `Truth` are seconds after the first shown picture.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, BITS = 160, 64, 10
BEEPS = (0.6, 2.2, 3.4, 5.5)  # seconds of the uncut source at which beeps begin; no two are equally far apart
BEEP = 0.3  # seconds
OTHER_BEEPS = (1.3, 4.5)  # those of tracks that a player does not choose
MILLISECONDS = ("mkv", "webm", "flv", "wmv")  # containers that round times to whole milliseconds
NO_TIMES = ("avi", "mpg")  # containers that hold no presentation time for some or all pictures
EXACT = 1e-4  # seconds by which two times may differ and still be the same


@dataclass(frozen=True)
class Recipe:
    """How a clip is made. Times are in seconds.

    gop: frames per group of pictures. b_frames: consecutive B-frames. times: "even", or "varied" for a variable frame rate.
    start: when the first picture is shown on the container's clock. late: by how much all sound is shifted; below 0 it starts
    before the pictures. hole: (begin, end) without sound packets. keep: the (begin, end) of the source that are kept, in this
    order, cut without re-encoding; several are joined. Pictures are kept from the key frame before `begin`. tracks: sound tracks,
    of which the one with index `default` is marked as default. early_sound: sound, too, is kept from the key frame.
    rotation: degrees by which a player turns the pictures.
    """

    suffix: str = "mp4"
    video: str | None = "libx264"
    audio: str | None = "aac"
    fps: Fraction | int = 25
    seconds: float = 6
    gop: int = 25
    b_frames: int = 0
    open_gop: bool = False
    times: str = "even"
    start: float = 0
    late: float = 0
    hole: tuple[float, float] | None = None
    keep: tuple[tuple[float, float], ...] = ()
    tracks: int = 1
    default: int = 0
    fragmented: bool = False
    faststart: bool = False
    early_sound: bool = False
    rotation: int = 0
    rate: int = 48000

    def __str__(self) -> str:
        """What differs from the default, as the name of a test."""
        changed = [f"{k}={v}" for k, v in vars(self).items() if k not in ("suffix", "video", "audio") and v != getattr(Recipe, k)]
        return "-".join([self.suffix, str(self.video), str(self.audio), *changed]).replace(" ", "")

    @property
    def tick(self) -> float:
        """Seconds by which the container's clock may round a time."""
        return 1.5e-3 if self.suffix in MILLISECONDS else EXACT


@dataclass(frozen=True)
class Truth:
    """What a player shows. times: (n,) when each picture appears, numbers: (n,) what its stripes say, seconds: the pictures'
    duration, beeps: when beeps begin. All on the clock that is 0 at the first shown picture."""

    times: np.ndarray
    numbers: np.ndarray
    seconds: float
    beeps: list[float]

    def numbers_at(self, time: float, tick: float) -> set[int]:
        """The numbers that may be on show at `time`: two of them if a picture changes within `tick` of it."""
        at = [max(0, np.searchsorted(self.times, time + d, side="right") - 1) for d in (-tick, tick)]
        return {int(self.numbers[i]) for i in range(at[0], at[1] + 1)}


def striped(number: int) -> np.ndarray:
    """A picture, uint8 (H, W, 3), with the bits of `number` as stripes, the lowest at the left."""
    bits = (number >> np.arange(BITS)) & 1
    row = np.repeat(bits * 255, WIDTH // BITS).astype(np.uint8)  # (W,)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_of(picture) -> int:
    """The number in a picture's stripes, (3, H, W) or (H, W, 3). -1 if a stripe is neither black nor white."""
    picture = np.asarray(picture)
    picture = picture.transpose(1, 2, 0) if picture.shape[0] == 3 else picture
    middle = picture[HEIGHT // 8 : -HEIGHT // 8].mean((0, 2)).reshape(BITS, -1)  # (stripes, columns)
    level = middle[:, 4:-4].mean(1)
    if picture.shape[:2] != (HEIGHT, WIDTH) or ((level > 80) & (level < 175)).any():
        return -1
    return int(((level > 127) << np.arange(BITS)).sum())


def beeps_of(sound, rate: int) -> list[float]:
    """Seconds at which the beeps of a sound (n,) begin."""
    loud = np.flatnonzero(np.abs(np.asarray(sound)) > 0.12)
    first = np.flatnonzero(np.diff(loud, prepend=-rate) > 0.2 * rate)
    return [round(float(at) / rate, 3) for at in loud[first]]


def shown(path) -> tuple[np.ndarray, list[int]]:
    """When a plain sequential decode shows each picture, in seconds after the first, and the numbers in their stripes."""
    with av.open(str(path)) as container:
        found = [
            (float(f.pts * f.time_base), number_of(np.rot90(f.to_ndarray(format="rgb24"), f.rotation // 90 % 4)))
            for f in container.decode(video=0)
        ]
    times = np.array([t for t, _ in found])
    return times - times[0], [n for _, n in found]


def heard(path) -> list[float]:
    """When beeps begin after the first shown picture, by the times of a plain sequential decode of the default track."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        zero = float(first.pts * first.time_base)
    with av.open(str(path)) as container:
        tracks = container.streams.audio
        track = next((s for s in tracks if s.disposition & av.stream.Disposition.default), tracks[0])
        decoded = [f for f in container.decode(track) if f.pts is not None]  # what WMA flushes at its end has no time
        frames = [(float(f.pts * f.time_base), f.rate, f.to_ndarray()) for f in decoded]
    rate, end = frames[0][1], max(t for t, _, _ in frames) + 2
    sound = np.zeros(int((end - min(0, zero)) * frames[0][1]) + 1, np.float32)
    for time, _, samples in frames:
        samples = samples[0].astype(np.float32) / (np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else 1)
        at = round((time - zero) * rate)
        samples, at = samples[max(0, -at) :], max(0, at)
        sound[at : at + len(samples)] = samples[: max(0, len(sound) - at)]
    return beeps_of(sound, rate)
