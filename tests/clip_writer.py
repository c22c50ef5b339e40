"""Write striped clips: encode a source, cut, shift and join its packets, and work out what a player then shows.

A clip of 6 s takes 0.02 to 0.2 s to make. The same recipe makes the same bytes.
"""

import os
from fractions import Fraction
from functools import cache

import av
import numpy as np
from striped_clips import BEEP, BEEPS, HEIGHT, OTHER_BEEPS, WIDTH, Recipe, Truth, striped

CLOCK = 90000  # ticks per second of pictures while they are cut and joined
os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder prints its settings

OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "20", "x264-params": "threads=1:scenecut=0:b-adapt=0"},
    "libx265": {"preset": "ultrafast", "crf": "20", "x265-params": "log-level=none:pools=1:frame-threads=1:scenecut=0:b-adapt=0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "400k"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "25", "b": "0"},
    "libsvtav1": {"preset": "10", "crf": "12", "svtav1-params": "lp=1"},
    "vorbis": {"strict": "experimental"},
}
WITH_B_FRAMES = ("mpeg1video", "mpeg2video", "mpeg4")  # apart from those that take options of their own
WITHOUT_SCENES = (*WITH_B_FRAMES, "flv", "msmpeg4", "wmv2")
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "huffyuv": "yuv422p"}


def make(path, recipe: Recipe) -> Truth:
    """Write the clip and return its truth. Without pictures, the clock begins at the first sample."""
    movflags = "+frag_keyframe+delay_moov+default_base_moof" * recipe.fragmented + "+faststart" * recipe.faststart
    options = {"fflags": "+bitexact"} | ({"movflags": movflags} if movflags else {})  # no random identifiers
    with av.open(str(path), "w", format=_format(recipe.suffix), options=options) as container:
        video = _video_stream(container, recipe) if recipe.video else None
        sounds = [_audio_stream(container, recipe, n == recipe.default) for n in range(recipe.tracks if recipe.audio else 0)]
        if video:
            pictures, cuts = _cut_pictures(_pictures(video, recipe), recipe)
            truth, packets = _truth(pictures, cuts, recipe), list(pictures)
        else:
            cuts, packets = [(0, recipe.seconds, recipe.start)], []
            truth = Truth(np.zeros(0), np.zeros(0, int), recipe.seconds, [b for b in BEEPS if b < recipe.seconds])
        for n, stream in enumerate(sounds):
            packets += _cut_sound(_sounds(stream, recipe, BEEPS if n == recipe.default else OTHER_BEEPS), cuts, recipe)
        for packet in sorted(packets, key=lambda p: (p.dts if p.dts is not None else p.pts) * p.time_base):
            container.mux(packet)
    return truth


def _format(suffix: str) -> str:
    return {"mkv": "matroska", "ts": "mpegts", "mpg": "mpeg", "wmv": "asf", "m4a": "ipod", "mka": "matroska"}.get(suffix, suffix)


def _video_stream(container, recipe: Recipe):
    options = dict(OPTIONS.get(recipe.video, {}))
    if recipe.video in ("libx264", "libx265"):
        params = f"{recipe.video[3:]}-params"
        options[params] += (
            f":keyint={recipe.gop}:min-keyint={recipe.gop}:bframes={recipe.b_frames}:open-gop={int(recipe.open_gop)}"
        )
    elif recipe.video in WITHOUT_SCENES:
        options |= {"sc_threshold": "1000000000"}  # so that key frames stand where `gop` puts them
        if recipe.video in WITH_B_FRAMES and not recipe.open_gop:
            options |= {"flags": "+cgop"}
    stream = container.add_stream(recipe.video, rate=recipe.fps, options=options)
    stream.width, stream.height = (WIDTH, HEIGHT) if recipe.rotation % 180 == 0 else (HEIGHT, WIDTH)
    stream.pix_fmt = PIXELS.get(recipe.video, "yuv420p")
    context = stream.codec_context
    context.gop_size, context.thread_count = recipe.gop, 1
    if recipe.video in WITH_B_FRAMES:
        context.max_b_frames = recipe.b_frames
    if recipe.video not in OPTIONS and recipe.video != "prores_ks":
        context.bit_rate = 1_500_000
    if recipe.times == "varied":
        context.time_base = Fraction(1, 1000)
    if recipe.rotation:
        stream.set_display_rotation(recipe.rotation)
    return stream


def _audio_stream(container, recipe: Recipe, default: bool):
    layout = "stereo" if recipe.audio == "vorbis" else "mono"  # this encoder knows no other
    stream = container.add_stream(recipe.audio, rate=recipe.rate, layout=layout, options=OPTIONS.get(recipe.audio, {}))
    if recipe.audio == "wmav2":
        stream.codec_context.bit_rate = 64_000
    if recipe.tracks > 1:
        stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
    return stream


def source_times(recipe: Recipe) -> list[Fraction]:
    """When each frame of the uncut source is shown, in seconds."""
    count = int(recipe.seconds * recipe.fps)
    if recipe.times == "even":
        return [n / Fraction(recipe.fps) for n in range(count)]
    steps = [(1, 3, 1, 7, 2)[n % 5] for n in range(count)]  # 20 to 140 ms at 50 per second
    times = [Fraction(sum(steps[:n]), 50) for n in range(count)]
    return [t for t in times if t < recipe.seconds]


def _pictures(stream, recipe: Recipe) -> list:
    """All pictures of the source as packets. Their times are in 1 / CLOCK seconds."""
    packets, base = [], stream.codec_context.time_base or 1 / Fraction(recipe.fps)
    for number, time in enumerate(source_times(recipe)):
        picture = np.rot90(striped(number), -(recipe.rotation // 90))  # what a player turns back
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = round(time / base), base
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [_on(packet, Fraction(1, CLOCK)) for packet in packets]


@cache
def source_sound(seconds: float, rate: int, beeps: tuple[float, ...]) -> np.ndarray:
    """Beeps of 1 kHz over silence, float32 (n,)."""
    sound = np.zeros(int(seconds * rate), np.float32)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(int(BEEP * rate)) / rate)
    for begin in beeps:
        at = int(begin * rate)
        sound[at : at + len(tone)] = tone[: max(0, len(sound) - at)]
    return sound


def _sounds(stream, recipe: Recipe, beeps) -> list:
    """The whole sound of the source as packets. Their times are in samples."""
    sound, rate = source_sound(recipe.seconds, recipe.rate, beeps), Fraction(1, recipe.rate)
    format = stream.codec_context.format.name
    planes = (sound * 32767).astype(np.int16) if format.startswith("s16") else sound
    planes = (sound * 2**30).astype(np.int32) if format.startswith("s32") else planes
    layout = stream.codec_context.layout
    frame = av.AudioFrame.from_ndarray(np.tile(planes, (layout.nb_channels, 1)), format=format, layout=layout.name)
    frame.rate, frame.pts, frame.time_base = recipe.rate, 0, rate
    fifo, packets = av.AudioFifo(), []
    fifo.write(frame)
    for piece in fifo.read_many(stream.codec_context.frame_size or 1024, partial=True):
        packets += stream.encode(piece)
    packets += stream.encode(None)
    for before, packet in zip(packets, packets[1:]):
        if packet.pts is None:  # as in what WMA flushes
            packet.pts = packet.dts = before.pts + before.duration
    return [_on(packet, rate) for packet in packets]


def _on(packet, base: Fraction):
    """The packet with its times in another time base."""
    scale = packet.time_base / base
    packet.pts, packet.dts, packet.duration = (round((t or 0) * scale) for t in (packet.pts, packet.dts, packet.duration))
    packet.time_base = base
    return packet


def _cut_pictures(packets, recipe: Recipe):
    """The kept packets, on the container's clock, each with its number; and where each kept part is put: [(begin, end, put)]."""
    parts, cuts, put = [], [], recipe.start + max(0.0, -recipe.late)
    number = {round(time * CLOCK): n for n, time in enumerate(source_times(recipe))}
    for begin, end in recipe.keep or ((0, recipe.seconds),):
        key = max(n for n, p in enumerate(packets) if p.is_keyframe and p.pts <= begin * CLOCK + 1)
        if parts and packets[key].pts < begin * CLOCK - 1:
            raise ValueError(f"{recipe}: no key frame at {begin} s; only the first part may begin elsewhere")
        for packet in packets[key:]:
            if packet.dts < end * CLOCK - 1 and packet.pts < end * CLOCK - 1:
                copy = _copied(packet, round((put - begin) * CLOCK))
                copy.opaque = number[packet.pts]
                parts.append(copy)
        cuts.append((begin, end, put))
        put += end - begin
    return parts, cuts


def _copied(packet, shift: int):
    copy = av.Packet(bytes(packet))
    copy.stream, copy.time_base, copy.is_keyframe, copy.duration = (
        packet.stream,
        packet.time_base,
        packet.is_keyframe,
        packet.duration,
    )
    copy.pts, copy.dts = packet.pts + shift, packet.dts + shift
    return copy


def _cut_sound(packets, cuts, recipe: Recipe) -> list:
    """The packets of the kept parts without those in the hole, on the container's clock."""
    found, late = [], round(recipe.late * recipe.rate)
    if recipe.suffix == "avi":  # its sound cannot begin before its pictures; the encoder's delay is heard
        late -= min(0, packets[0].pts)
    begin_hole, end_hole = (round(t * recipe.rate) for t in recipe.hole or (0, 0))
    for begin, end, put in cuts:
        first = begin * recipe.rate if begin else -recipe.rate
        first, last = first - recipe.early_sound * int(0.39 * recipe.rate), end * recipe.rate
        for packet in packets:
            if first <= packet.pts < last and not begin_hole <= packet.pts < end_hole:
                found.append(_copied(packet, round((put - begin) * recipe.rate) + late))
    return found


def _truth(pictures, cuts, recipe: Recipe) -> Truth:
    """Pictures by when they are shown, without those that the cut hides or leaves without what they refer to."""
    key = pictures[0].pts
    begin = round(cuts[0][2] * CLOCK)
    hidden = recipe.suffix in ("mp4", "mov") and bool(recipe.keep) and not recipe.fragmented
    kept = sorted((p.pts, p.opaque) for p in pictures if p.pts >= (max(key, begin - 1) if hidden else key))
    zero = kept[0][0]
    times = np.array([(pts - zero) / CLOCK for pts, _ in kept])
    beeps = []
    for source_begin, source_end, put in cuts:
        for beep in BEEPS:
            at = put + beep - source_begin + recipe.late - zero / CLOCK
            silent = recipe.hole and recipe.hole[0] <= beep < recipe.hole[1]
            if recipe.audio and source_begin <= beep < source_end and not silent:
                _check_whole(recipe, at, at + source_end - beep)
                beeps += [round(at, 3)] * (at > 0)
    last = (kept[-1][0] - kept[-2][0]) / CLOCK if recipe.times == "varied" else float(1 / Fraction(recipe.fps))
    return Truth(times, np.array([n for _, n in kept]), times[-1] + last, beeps)


def _check_whole(recipe: Recipe, at: float, end: float) -> None:
    """Raises ValueError if a beep at `at` is cut by the first picture, or by the end of its part."""
    if -BEEP - 0.05 < at < 0.05 or at + BEEP + 0.05 > end:
        raise ValueError(f"{recipe}: the beep at {at:.2f} s would be cut in two; choose other times")
