"""The presentation clock of a container: when each picture is shown and each sound is heard.

* Edit lists: FFmpeg marks packets that only lead in as discarded, and its decoders hide them.
* Broadcast formats (ts, mpg) are joined by appending one file to another. Their clock then starts again; `Timeline` goes on.
* The order of show is the order in which the decoder hands pictures out. Times that contradict it are sorted.
* AVI has no presentation times. Its n-th picture on show takes the place of the n-th picture in the file.
* No time of a header is believed alone: what can be decoded is compared with what is stated.
"""

from dataclasses import dataclass

import av
import numpy as np

from .containers import AGAIN, CONVERT, FAULTS, MediaError, main_track, open_media

BY_PLACE = ("avi",)
JOINABLE = ("mpegts", "mpeg")
BACK, AHEAD = -1.0, 10.0  # seconds; a larger jump of a joinable format's clock is a new start
LONGEST = 24 * 3600.0  # seconds; no clip or sound of a question lasts longer
BY_TRACK = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "avi",
    "flac",
    "wav",
    "w64",
    "aiff",
    "caf",
    "tta",
    "ape",
    "wv",
)  # state each track's length
BY_FILE = ("matroska,webm", "flv", "asf")  # state the length of the whole file
LOOSE = ("matroska,webm", "asf")  # may state more than there is: how long the last picture is held, or a track's late start


def in_seconds(stamp: int, unit) -> float:
    """A time in units of `unit` seconds, a Fraction. Equals float(stamp * unit) in a tenth of its time; a clip has hundreds."""
    return stamp * unit.numerator / unit.denominator


class Timeline:
    """Seconds to add to the times of a file's packets so that its clock never starts again. Give it every packet in order.

    Each new start begins a part of the file. The tracks come to it one after the other, since packets of the part before may
    still follow; all tracks of a part are shifted alike, so they stay in time with each other.
    """

    def __init__(self, container):
        self.joinable, self.shifts, self.part, self.due = container.format.name in JOINABLE, [0.0], {}, {}

    def follow(self, packet) -> float:
        track, stamp = packet.stream.index, packet.dts if packet.dts is not None else packet.pts
        part = self.part.get(track, 0)
        if not self.joinable or stamp is None:
            return self.shifts[part]
        unit = packet.time_base
        at = in_seconds(stamp, unit)
        due = self.due.get(track, at + self.shifts[part])
        if not BACK <= at + self.shifts[part] - due <= AHEAD:
            part += 1
            if part == len(self.shifts):
                self.shifts.append(due - at)
        self.part[track] = part
        self.due[track] = at + self.shifts[part] + in_seconds(packet.duration or 0, unit)
        return self.shifts[part]


def packets(container):
    """The packets of all tracks up to the first that cannot be read, then an empty one per track, which flushes its decoder."""
    try:
        yield from container.demux()
    except (*FAULTS, IndexError):  # IndexError: a track that begins in the middle of the file
        for stream in container.streams:
            if stream.codec_context is not None:
                flush = av.Packet()
                flush.stream, flush.time_base = stream, stream.time_base
                yield flush


@dataclass(frozen=True)
class Index:
    """What the packets of a video track announce, without decoding it.

    stamps: presentation times in units of the track, sorted; one per picture on show. times: the same in seconds (n,) float64,
    with joined parts one after the other. each: whether every picture has a stamp of its own, so that pictures can be found
    by it. tail: seconds that the last picture is shown. fps: frames per second as the header states them, or 0. tick: seconds
    per unit. sounding: whether the file has an audio track, too.
    """

    stamps: tuple[int, ...]
    times: np.ndarray
    each: bool
    tail: float
    fps: float
    tick: float
    sounding: bool


def scan(path) -> Index:
    """Read the packets of a video. Raises MediaError for no_video, no_frames, truncated and bad_times."""
    with open_media(path) as container:
        track = main_track(path, container, "video")
        if track is None:
            raise MediaError("no_video", f"{path}: it has no video track; give it the kind audio, or name another file")
        timeline, shown, unstamped, ends = Timeline(container), [], 0, Ends(container)
        for packet in packets(container):
            shift = timeline.follow(packet)
            ends.follow(packet, shift)
            if packet.stream.index == track.index and packet.size and not packet.is_discard:
                stamp = packet.dts if ends.format in BY_PLACE else packet.pts
                early = 0.0 if None in (stamp, packet.dts) else in_seconds(stamp - packet.dts, packet.time_base)
                if abs(early) > AHEAD:
                    raise MediaError("bad_times", f"{path}: a picture is shown {early:.0f} s after it is decoded; {CONVERT}")
                if stamp is None:
                    unstamped += 1
                else:
                    shown.append((in_seconds(stamp, packet.time_base) + shift, stamp, packet.duration or 0))
        shown.sort()
        tick = float(track.time_base)
        fps = float(track.average_rate or track.guessed_rate or 0)
        if not shown and not unstamped:
            raise MediaError("no_frames", f"{path}: the video track has no pictures; {AGAIN}")
        ends.check(path, track, "pictures")
        unsure = ends.format in BY_PLACE or track.codec_context.name == "vp8"  # some of its packets show nothing
        known, sounding = ends.stated(track), main_track(path, container, "audio") is not None
    times = np.array([time for time, _, _ in shown])
    stamps = tuple(stamp for _, stamp, _ in shown)
    each = not unstamped and not unsure and all(a < b for a, b in zip(stamps, stamps[1:]))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1 / fps if 0 < fps < 1000 else 0.04
    tail = shown[-1][2] * tick if shown else 0.0
    if not 0 < tail <= max(2 * usual, known - times[-1] if known and len(times) else 0.0):
        tail = usual  # a last duration that nothing else confirms
    check_length(path, float(times[-1] - times[0]) if len(times) else 0.0, known)
    return Index(stamps, times, each, tail, fps, tick, sounding)


def check_length(path, seconds: float, stated: float) -> None:
    """Raises MediaError if times reach further than a file of this kind can last."""
    if seconds > LONGEST or stated and seconds > 1.5 * stated + 5:
        said = f" of a file that states {stated:.1f} s" if stated else ""
        raise MediaError("bad_times", f"{path}: its time stamps span {seconds:.0f} s{said}; {CONVERT}")


class Ends:
    """Where each track of a file begins and ends, to compare with what the header states."""

    def __init__(self, container):
        self.format, self.duration, self.first, self.last = container.format.name, container.duration, {}, {}

    def follow(self, packet, shift: float = 0.0) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None and packet.size:
            unit, track = packet.time_base, packet.stream.index
            at = in_seconds(stamp, unit) + shift
            end = at + min(in_seconds(packet.duration or 0, unit), 60.0)
            self.first[track] = min(at, self.first.get(track, at))
            self.last[track] = max(end, self.last.get(track, end))

    def stated(self, track) -> float:
        """Seconds that the header states for a track, or for the whole file; 0 if it states none that was not estimated."""
        if self.format in BY_TRACK and track.duration:
            return max(0.0, in_seconds(track.duration, track.time_base))
        return max(0.0, self.duration / 1e6) if self.format in BY_FILE and self.duration else 0.0

    def check(self, path, track, what: str) -> None:
        """Raises MediaError if a track, or the whole file, ends well before the header says."""
        stated, by_file = self.stated(track), self.format in BY_FILE
        spare = max(2.0, 0.1 * stated) if self.format in LOOSE else max(0.5, 0.02 * stated) if by_file else 0.5
        mine = list(self.last) if by_file else [track.index]
        begins = [self.first[i] for i in mine if i in self.first]
        ends = [self.last[i] for i in mine if i in self.last]
        found = max(max(ends), max(ends) - min(begins)) if ends else 0.0  # some headers count from the first packet
        if found < stated - spare:
            avi = self.format in BY_PLACE
            gap = ", or its tracks begin late or have gaps, which AVI cannot place" if avi else ""
            remedy = f"{AGAIN}, or {CONVERT}" if avi else AGAIN
            raise MediaError("truncated", f"{path}: only {found:.1f} of {stated:.1f} s of {what} are in the file{gap}; {remedy}")
