"""Read chosen frames of a video: at every time the picture that a player shows then.

PyAV decodes from the first picture to the last, in the order of show, and only chosen pictures are converted. In H.264,
MPEG-4 and MPEG-2 the pictures that no other picture refers to are skipped unless they are chosen; this changes no other
picture.

The times come from the packets (`clock.scan`). The decoder must then hand out exactly the chosen pictures. If it does not, as
when an open group of pictures was cut, the video is decoded once more to learn which pictures it really shows, and chosen
from again.

decord is used on request only, and every picture it gives is compared with PyAV's: it misplaces the pictures of trimmed clips, of
transport streams and of open groups of pictures.
"""

import collections
from dataclasses import dataclass

import numpy as np

from .clock import BY_PLACE, Index, Timeline, check_length, in_seconds, packets, scan
from .containers import AGAIN, CONVERT, FAULTS, MediaError, faults, main_track, open_media
from .decord_check import beside_decord
from .sampling import exact_indices, spread_indices

READERS = ("auto", "pyav", "decord")
LARGEST = 50_000_000  # pixels of a picture; config.yaml: max_picture_pixels
BATCH = 64_000_000  # bytes of decoded pictures per batch
SPARE = 0.05  # a video is usable if at most this share of its pictures cannot be decoded
MOST_ASTRAY = 1.0  # seconds by which the times of pictures may contradict the order of show
SKIPPING = ("h264", "mpeg4", "mpeg2video")  # decoders that can leave out pictures to which no other refers
WITHOUT_PICTURE = ("vp8", "vp9", "av1")  # codecs with packets that show nothing
ONE_PER_PACKET = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "asf")


@dataclass
class Tally:
    """What happened to the packets of a video track after its first picture."""

    packets: int = 0
    errors: int = 0
    pictures: int = 0
    corrupt: int = 0
    one_per_packet: bool = True  # whether each packet of this container and codec holds one picture on show


def pictures(path, largest: int = LARGEST, wanted=None, tally: Tally | None = None):
    """Yield (seconds or None, stamp or None, frame) for every picture, in the order of show. `seconds` is on the file's clock.

    wanted: stamps of the only pictures that are needed. Packets that cannot be decoded are counted in `tally` and passed over, as
    players do. Raises MediaError if the file cannot be opened or its pictures have more than `largest` pixels.
    """
    tally = tally or Tally()
    with open_media(path) as container:
        track = main_track(path, container, "video")
        if track is None:
            raise MediaError("no_video", f"{path}: it has no video track; give it the kind audio, or name another file")
        context = track.codec_context
        check_pixels(path, context.width, context.height, largest)
        context.thread_count = 1  # many files are read in parallel
        context.options = {"max_pixels": str(min(2 * largest + 1_000_000, 2**31 - 1))}  # a size that changes on the way
        tally.one_per_packet = container.format.name in ONE_PER_PACKET and context.name not in WITHOUT_PICTURE
        skipping = wanted is not None and context.name in SKIPPING
        timeline, shifts, counting = Timeline(container), {}, False
        places = collections.deque() if container.format.name in BY_PLACE else None
        for packet in packets(container):
            shift = timeline.follow(packet)
            if packet.stream.index != track.index:
                continue
            if shift and packet.pts is not None:
                shifts[packet.pts] = shift
            if skipping:
                context.skip_frame = "DEFAULT" if packet.pts in wanted or not packet.size else "NONREF"
            counting = counting or packet.is_keyframe  # before the first key frame nothing can be decoded
            tally.packets += counting and packet.size > 0 and not packet.is_discard
            try:
                frames = packet.decode()
            except FAULTS:
                tally.errors += counting
                continue
            if places is not None and packet.size and packet.dts is not None:
                places.append(in_seconds(packet.dts, packet.time_base))
            for frame in frames:
                tally.pictures += 1
                tally.corrupt += frame.is_corrupt
                check_pixels(path, frame.width, frame.height, largest)
                if places:
                    at = places.popleft()
                else:
                    at = None if frame.pts is None else in_seconds(frame.pts, frame.time_base) + shifts.get(frame.pts, 0.0)
                yield at, frame.pts, frame


def _rgb(path, frame) -> np.ndarray:
    """A frame as uint8 (H, W, 3). Raises MediaError."""
    with faults(path, "unsupported", "its colours cannot be converted", CONVERT):
        return frame.to_ndarray(format="rgb24")


def _quarters(frame) -> int:
    """The quarter turns to the left after which a picture is upright: the nearest, if a player would turn it by another angle."""
    return round(frame.rotation / 90) % 4


def _upright(frame) -> tuple[int, int]:
    """Height and width of a picture after `_quarters`."""
    return (frame.width, frame.height) if _quarters(frame) % 2 else (frame.height, frame.width)


def check_pixels(path, width: int, height: int, largest: int) -> None:
    """Raises MediaError for pictures that are too large for the memory, or that no encoder takes."""
    if width * height > largest:
        raise MediaError(
            "too_large",
            f"{path}: its pictures have {width} x {height} pixels, more than max_picture_pixels ({largest}) in config.yaml; make"
            " them smaller, or raise the limit",
        )
    if width and height and max(width, height) > 200 * min(width, height):
        raise MediaError(
            "extreme_shape",
            f"{path}: its pictures have {width} x {height} pixels, and a side more than 200 times the other; crop them",
        )


@dataclass(frozen=True)
class Shown:
    """The pictures on show. times: (n,) float64 seconds on the file's clock, sorted. tail: seconds that the last one is shown."""

    times: np.ndarray
    tail: float
    fps: float
    tick: float
    stamps: tuple[int, ...] | None = None  # if pictures can be found by their stamps
    size: tuple[int, int] = (0, 0)  # height, width after rotation, if the video was decoded

    @property
    def seconds(self) -> float:
        return float(self.times[-1] - self.times[0]) + self.tail

    @property
    def rate(self) -> float:
        """Pictures per second: as the header states them, or those that are shown if that differs by more than 1 %."""
        stated = self.fps and abs(self.fps - self.spacing) < 0.01 * self.spacing
        return self.fps if stated else len(self.times) / self.seconds

    @property
    def spacing(self) -> float:
        """Pictures per second."""
        return (
            (len(self.times) - 1) / (self.seconds - self.tail) if len(self.times) > 1 and self.seconds > self.tail else self.fps
        )


def first_shown(path) -> float | None:
    """Seconds on the file's clock at which the first picture is shown; None if the video has no pictures or no times."""
    for at, _, _ in pictures(path, largest=1 << 40):  # the limit is for pictures that are kept
        return at
    return None


def first_size(path, largest: int = LARGEST) -> tuple[int, int]:
    """Height and width of a video's first picture, upright. Raises MediaError."""
    for _, _, frame in pictures(path, largest):
        return _upright(frame)
    raise MediaError("no_frames", f"{path}: no picture can be decoded; {AGAIN}")


def decode_all(path, index: Index, largest: int = LARGEST) -> Shown:
    """Decode a whole video without converting its pictures. `read_frames` does not fail on a video that passes.

    index: of the same file. Raises MediaError: no_frames, damaged, bad_times, and as `pictures` does.
    """
    tally, found, size = Tally(), [], None
    for at, _, frame in pictures(path, largest, tally=tally):
        if size is None:
            _rgb(path, frame)
        size = size or _upright(frame)
        found.append(at)
    if not found:
        raise MediaError("no_frames", f"{path}: no picture can be decoded; {AGAIN}")
    lost = tally.errors + tally.corrupt
    if tally.one_per_packet:
        lost = max(lost, tally.packets - tally.pictures)
    if lost > SPARE * max(tally.packets, 1):
        raise MediaError("damaged", f"{path}: {lost} of {tally.packets} pictures cannot be decoded; {AGAIN}")
    times = _in_order(path, found, index)
    check_length(path, float(times[-1] - times[0]), 0.0)
    return Shown(times, index.tail, index.fps, index.tick, size=size)


def _in_order(path, found: list, index: Index) -> np.ndarray:
    """The times of pictures in the order of show. Missing times are the packets'; those a little out of order are sorted.

    Raises MediaError for bad_times if they are far out of order.
    """
    if None not in found:
        times = np.sort(np.array(found))
        astray = float(np.abs(times - found).max())
        if astray > MOST_ASTRAY:
            raise MediaError("bad_times", f"{path}: times of its pictures are up to {astray:.1f} s out of order; {CONVERT}")
        return times
    if len(index.times) == len(found):
        return index.times
    known = [time for time in found if time is not None]
    return min(known, default=0.0) + np.arange(len(found)) / (index.fps if 0 < index.fps < 1000 else 25.0)


def _chosen(path, indices: list[int], shown: Shown, largest: int):
    """Yield the pictures at sorted `indices` of `shown`, uint8 (H, W, 3), up to the first that the decoder does not hand out.

    With stamps, the last picture of the video is looked for, too: it shows that the video is as long as announced.
    """
    if shown.stamps is not None:
        wanted, end = [shown.stamps[i] for i in indices], shown.stamps[-1]
        source = pictures(path, largest, {*wanted, end})
    else:
        wanted, end = indices, indices[-1]
        source = ((at, n, frame) for n, (at, _, frame) in enumerate(pictures(path, largest)))
    size, place, last, held = None, 0, None, None
    for _, key, frame in source:
        if key is None or last is not None and key <= last:
            return  # the stamps are not those of the order of show
        last = key
        if place < len(wanted) and key == wanted[place]:
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:  # the size changes on the way: a player scales
                frame = frame.reformat(*size)
            picture = np.rot90(_rgb(path, frame), _quarters(frame))
            place += 1
            if place < len(wanted):
                yield picture
                continue
            held = picture
        if held is not None and key == end:
            yield held
            return


def read_chosen(path, choose, shrink, reader: str = "auto", largest: int = LARGEST):
    """The pictures that `choose` names, uint8 (T, 3, H, W), and what it says of them.

    choose(shown) returns (sorted indices (T,), facts), and may be called twice. shrink, reader, largest: as in `read_frames`.
    Raises MediaError.
    """
    index = scan(path)
    shown = (
        Shown(index.times, index.tail, index.fps, index.tick, index.stamps) if index.each else decode_all(path, index, largest)
    )
    while True:
        indices, facts = choose(shown)
        unique, back = np.unique(indices, return_inverse=True)
        found, batch, count = [], [], 0
        turned = lambda some: np.ascontiguousarray(np.stack(some).transpose(0, 3, 1, 2))  # noqa: E731
        checked = beside_decord(path, unique.tolist(), shown.times) if reader == "decord" else lambda picture: picture
        for picture in _chosen(path, unique.tolist(), shown, largest):
            batch.append(checked(picture))
            count += 1
            if len(batch) * picture.nbytes >= BATCH:
                found.append(shrink(turned(batch), len(indices)))
                batch = []
        if count == len(unique):
            break
        if shown.stamps is None:
            raise MediaError("damaged", f"{path}: picture {unique[count]} cannot be decoded any more; {AGAIN}")
        shown = decode_all(path, index, largest)  # the decoder shows other pictures than the packets announce
    if batch:
        found.append(shrink(turned(batch), len(indices)))
    frames = np.concatenate(found)
    return (frames if len(unique) == len(indices) else frames[back]), facts


def decoding_arguments(parser) -> None:
    """Add the options of scripts that decode."""
    parser.add_argument("--reader", choices=READERS, default="auto", help="the library that reads the frames of videos")
    parser.add_argument("--max-picture-pixels", type=int, default=LARGEST, help="larger pictures and frames are refused")


def as_is(frames, count):
    return frames


def read_frames(path, fps: float, max_frames: int, shrink=as_is, reader: str = "auto", largest: int = LARGEST):
    """The pictures on show at t = k / fps after the first, uint8 (T, 3, H, W), and the fps used (see `sample_times`).

    shrink(frames, T) is called with each decoded batch and the total number of frames; the batches it returns are kept. reader:
    one of READERS. largest: the most pixels of a picture. Raises MediaError.
    """

    def choose(shown):
        return exact_indices(shown.times, shown.tick, shown.seconds, fps, max_frames)

    return read_chosen(path, choose, shrink, reader, largest)


def read_spread_frames(
    path, interval: float, min_frames: int, max_frames: int, shrink=as_is, reader: str = "auto", largest: int = LARGEST
):
    """Frames spread over the video, uint8 (T, 3, H, W), and their number per second (see `sampling`). Raises MediaError.

    shrink, reader, largest: as in `read_frames`.
    """

    def choose(shown):
        indices = spread_indices(len(shown.times), shown.seconds, interval, min_frames, max_frames)
        return indices, len(indices) / shown.seconds

    return read_chosen(path, choose, shrink, reader, largest)
