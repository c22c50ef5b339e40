"""Read the sound of a file on the clock of its pictures, as mono at 16 kHz.

Sample 0 is heard at the moment when the first picture is shown, or, without pictures, when the sound begins. Sound before it is
cut off; a late start and gaps are silence. PyAV demuxes, decodes and mixes down to mono, and librosa resamples, in blocks, so
that an hour of sound needs little memory. The rate, the channels and the format may change on the way.
"""

from collections import Counter
from dataclasses import dataclass, field

import av
import numpy as np

from .clock import BACK, Ends, Timeline, in_seconds, packets
from .containers import AGAIN, CONVERT, FAULTS, MediaError, main_track, open_media
from .sampling import SAMPLE_RATE, SHORTEST_SOUND
from .video import first_shown

SPARE = 0.05  # a sound is usable if at most this share of its packets cannot be decoded
JITTER = 0.015  # seconds by which times may differ from the number of samples before them; the shortest packets last 20 ms
MOST_SILENCE = 3600.0  # seconds of gaps and late starts that are filled
LOUDEST = 100.0  # full scale is 1; a sound that is louder was stored in other units
BLOCK = 60  # seconds that are resampled at once
EDGE = 1  # seconds beside a block that the resampling filter sees; it reaches some milliseconds
WITHOUT_CLOCK = ("mp3", "aac", "ac3", "eac3", "flac", "wav", "w64", "aiff", "au", "amr", "dts", "truehd", "ape", "tta", "wv")


@dataclass
class SoundFacts:
    """What reading a sound shows. rate (in Hz) and channels are those at the beginning."""

    rate: int = 0
    channels: int = 0
    samples: Counter = field(default_factory=Counter)  # rate -> number of samples at that rate
    energy: float = 0.0  # sum of squares, each times its share of a second

    @property
    def seconds(self) -> float:
        return sum(count / rate for rate, count in self.samples.items())

    @property
    def loudness(self) -> float:
        return float(np.sqrt(self.energy / self.seconds)) if self.seconds else 0.0


def stretches(path, facts: SoundFacts | None = None, zero: float | None = None):
    """Yield (mono float32 (n,), rate in Hz), from the first picture on, silence included. Fills in `facts`.

    zero: seconds on the file's clock at which the first picture is shown, if that is known.

    Raises MediaError: no_audio, unsupported, truncated, damaged, bad_samples, bad_times, too_short.
    """
    facts, errors, count = facts or SoundFacts(), 0, 0
    with open_media(path) as container:
        track = main_track(path, container, "audio")
        if track is None:
            raise MediaError("no_audio", f"{path}: it has no audio track")
        if zero is None and main_track(path, container, "video") is not None:
            zero = first_shown(path)
        track.codec_context.thread_count = 1
        timeline, ends, mixer = Timeline(container), Ends(container), _Mixer(path)
        clocked, started, at, silent, moved = container.format.name not in WITHOUT_CLOCK, False, 0.0, 0.0, 0.0
        for packet in packets(container):
            shift = timeline.follow(packet)
            ends.follow(packet, shift)
            if packet.stream.index != track.index:
                continue
            count += packet.size > 0
            try:
                frames = packet.decode()
            except FAULTS:
                errors += 1
                continue
            for frame in frames:
                due = (
                    in_seconds(frame.pts, frame.time_base) + shift if frame.pts is not None and (clocked or not started) else None
                )
                zero = (due or 0.0) if zero is None else zero
                samples, rate = mixer.mono(frame), frame.sample_rate
                gap = 0.0 if due is None else due + moved - zero - at
                if started and gap < BACK:  # the clock starts again: files joined by appending
                    moved, gap = moved - gap, 0.0
                if abs(gap) > (JITTER if started else 0.0):
                    silent += max(0.0, gap)
                    if silent > MOST_SILENCE:
                        raise MediaError("bad_times", f"{path}: its sound has gaps of {silent:.0f} s; {CONVERT}")
                    for silence in _silence(max(0.0, gap), rate):
                        at += len(silence) / rate
                        yield _noted(path, facts, silence, rate)
                    samples = samples[round(max(0.0, -gap) * rate) :]
                if len(samples):
                    started, at = True, at + len(samples) / rate
                    facts.rate, facts.channels = facts.rate or rate, facts.channels or frame.layout.nb_channels
                    yield _noted(path, facts, samples, rate)
        if not started:
            heard = "the audio track is empty" if not errors else f"none of {count} packets of sound can be decoded"
            raise MediaError("damaged" if errors else "no_audio", f"{path}: {heard}; {AGAIN}")
        if errors > max(1, SPARE * count):
            raise MediaError("damaged", f"{path}: {errors} of {count} packets of sound cannot be decoded; {AGAIN}")
        ends.last[track.index] = max(ends.last.get(track.index, 0.0), facts.seconds)
        _check_length(path, track, ends, facts.seconds)


def _check_length(path, track, ends: Ends, seconds: float) -> None:
    if seconds * SAMPLE_RATE < SHORTEST_SOUND:
        raise MediaError(
            "too_short", f"{path}: its sound lasts {1000 * seconds:.1f} ms, too short for one audio token; leave it out"
        )
    ends.check(path, track, "sound")


def _silence(seconds: float, rate: int):
    """Yield zeros, at most a block at a time."""
    left = round(seconds * rate)
    while left > 0:
        yield np.zeros(min(left, BLOCK * rate), np.float32)
        left -= BLOCK * rate


def _noted(path, facts: SoundFacts, samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """The stretch itself, counted in `facts`. Raises MediaError if its samples are no sound."""
    power = float(np.vdot(samples, samples))
    if not np.isfinite(power) or np.abs(samples).max() > LOUDEST:
        worst = "are not all finite" if not np.isfinite(samples).all() else f"reach {np.abs(samples).max():.3g}; full scale is 1"
        raise MediaError("bad_samples", f"{path}: the samples of its sound {worst}; write the file again with correct samples")
    facts.samples[rate] += len(samples)
    facts.energy += power / rate
    return samples, rate


class _Mixer:
    """Mixes frames down to mono float32, whatever their format; it may change from frame to frame."""

    def __init__(self, path):
        self.path, self.form, self.resampler = path, None, None

    def mono(self, frame) -> np.ndarray:
        form = frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate
        if not 1000 <= frame.sample_rate <= 1_000_000:
            raise MediaError("unsupported", f"{self.path}: its sound has a rate of {frame.sample_rate} Hz; {CONVERT}")
        if form != self.form:
            self.form, self.resampler = form, av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
        frame.pts = None  # times are kept apart
        try:
            mixed = np.concatenate([part.to_ndarray().ravel() for part in self.resampler.resample(frame)])
            return mixed.reshape(-1, form[2]).mean(1)  # as librosa does
        except FAULTS as error:
            raise MediaError(
                "unsupported",
                f"{self.path}: its sound ({', '.join(map(str, form))}) cannot be mixed to mono ({error}); {CONVERT}",
            ) from None


def measure(path, zero: float | None = None) -> SoundFacts:
    """Decode a whole sound without keeping it. `read_audio` does not fail on a file that passes. zero: as in `stretches`.

    Raises MediaError.
    """
    facts = SoundFacts()
    for _ in stretches(path, facts, zero):
        pass
    return facts


def read_audio(path) -> np.ndarray:
    """A file's sound as mono float32 (n,) in -1..1 at 16 kHz, from the first picture on. Raises MediaError."""
    done, resampler = [], None
    for samples, rate in stretches(path):
        if resampler is None or resampler.rate != rate:
            done += resampler.rest() if resampler else []
            resampler = _Resampler(rate)
        done += resampler.more(samples)
    done += resampler.rest()
    return np.ascontiguousarray(np.concatenate(done), dtype=np.float32)


class _Resampler:
    """Resamples to 16 kHz in blocks of whole seconds. Each block is resampled together with a second of its neighbours."""

    def __init__(self, rate: int):
        self.rate, self.held, self.count, self.before = rate, [], 0, 0

    def more(self, samples: np.ndarray) -> list[np.ndarray]:
        """Take in samples (n,). Returns the blocks at 16 kHz that are complete."""
        self.held.append(samples)
        self.count += len(samples)
        found = []
        while self.count >= self.before + (BLOCK + EDGE) * self.rate:
            held = np.concatenate(self.held)
            found.append(self._converted(held[: self.before + (BLOCK + EDGE) * self.rate])[: BLOCK * SAMPLE_RATE])
            held = held[self.before + (BLOCK - EDGE) * self.rate :].copy()
            self.held, self.count, self.before = [held], len(held), EDGE * self.rate
        return found

    def rest(self) -> list[np.ndarray]:
        """The last block at 16 kHz."""
        return [self._converted(np.concatenate(self.held))]

    def _converted(self, samples: np.ndarray) -> np.ndarray:
        if self.rate != SAMPLE_RATE:
            import librosa  # the import takes two seconds, and most users of this module never resample

            samples = librosa.resample(samples, orig_sr=self.rate, target_sr=SAMPLE_RATE)
        return samples[self.before // self.rate * SAMPLE_RATE :]
