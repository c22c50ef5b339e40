"""Small media files of every kind, and the damage that downloads, disks and broken programs do to them.

`damaged` writes files; the same seed makes the same ones. `tests/media/fuzz.py` tries them.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import clip_writer
import numpy as np
import striped_clips
from PIL import Image
from striped_clips import Recipe

SHORT = dict(seconds=3, rate=16000)
WIDE = dict(seconds=3)  # encoders that know few rates
VIDEOS = {
    "mp4 h264 aac": Recipe(b_frames=2, **SHORT),
    "mp4 h265 mp3": Recipe("mp4", "libx265", "libmp3lame", b_frames=3, open_gop=True, **SHORT),
    "mp4 av1 opus": Recipe("mp4", "libsvtav1", "libopus", **WIDE),
    "mp4 cut": Recipe(keep=((1.4, 3),), b_frames=2, **SHORT),
    "mp4 fragmented": Recipe(fragmented=True, b_frames=2, **SHORT),
    "mp4 index first": Recipe(faststart=True, rotation=90, **SHORT),
    "mov prores pcm": Recipe("mov", "prores_ks", "pcm_s16le", **SHORT),
    "mov mjpeg alac": Recipe("mov", "mjpeg", "alac", **SHORT),
    "mkv h264 flac": Recipe("mkv", "libx264", "flac", b_frames=2, **SHORT),
    "mkv ffv1 vorbis": Recipe("mkv", "ffv1", "vorbis", **WIDE),
    "mkv two tracks": Recipe("mkv", tracks=2, default=1, **SHORT),
    "webm vp9 opus": Recipe("webm", "libvpx-vp9", "libopus", **WIDE),
    "webm vp8 vorbis": Recipe("webm", "libvpx", "vorbis", **WIDE),
    "ts h264 aac": Recipe("ts", b_frames=2, **SHORT),
    "ts mpeg2 mp2": Recipe("ts", "mpeg2video", "mp2", **SHORT),
    "avi mpeg4 mp3": Recipe("avi", "mpeg4", "libmp3lame", b_frames=1, **SHORT),
    "avi mjpeg pcm": Recipe("avi", "mjpeg", "pcm_s16le", **SHORT),
    "mpg mpeg2 mp2": Recipe("mpg", "mpeg2video", "mp2", b_frames=2, **SHORT),
    "wmv wmv2 wmav2": Recipe("wmv", "wmv2", "wmav2", **SHORT),
    "flv flv mp3": Recipe("flv", "flv", "libmp3lame", seconds=3, rate=44100),
}
SOUNDS = {
    "wav": Recipe("wav", None, "pcm_s16le", **SHORT),
    "wav float": Recipe("wav", None, "pcm_f32le", **SHORT),
    "mp3": Recipe("mp3", None, "libmp3lame", **SHORT),
    "flac": Recipe("flac", None, "flac", **SHORT),
    "ogg vorbis": Recipe("ogg", None, "vorbis", **WIDE),
    "opus": Recipe("opus", None, "libopus", **WIDE),
    "m4a aac": Recipe("m4a", None, "aac", **SHORT),
}
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\1\0meta" + bytes(range(240))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>\n'
WORDS = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x7FFFFFFFFFFFFFFF, 0x00FFFFFF]
PLACES = (
    b"mvhd tkhd mdhd elst stts ctts stsz stsc stco stss tfdt trun avcC esds fmt  data RIFF avih strh strl idx1 moov OggS IHDR"
)
PLACES = [PLACES[i : i + 4] for i in range(0, len(PLACES), 5)]  # names of fields; then of Matroska, MPEG streams and ASF
PLACES += [b"\x2a\xd7\xb1", b"\x44\x89", b"\x1f\x43\xb6\x75", b"\0\0\1\xe0", b"\0\0\1\xc0", b"\0\0\1\xba", b"\xa1\xdc\xab\x8c"]


# the damage; each takes a random generator, the file's bytes, and those of a file of another kind


def cut_off(g, data, other):
    return data[: g.integers(len(data))]


def headless(g, data, other):
    return data[g.integers(len(data)) :]


def first_bytes(g, data, other):
    return data[: g.integers(1, 64)]


def flipped(g, data, begin, end, count):
    """`count` bits between two offsets are flipped."""
    changed = np.frombuffer(data, np.uint8).copy()
    np.bitwise_xor.at(changed, g.integers(begin, max(begin + 1, end), count), (1 << g.integers(0, 8, count)).astype(np.uint8))
    return changed.tobytes()


def few_bits(g, data, other):
    return flipped(g, data, 0, len(data), g.integers(1, 9))


def many_bits(g, data, other):
    return flipped(g, data, 0, len(data), max(10, len(data) // 200))


def header_bits(g, data, other):
    return flipped(g, data, 0, min(len(data), 600), g.integers(1, 20))


def middle_bits(g, data, other):
    return flipped(g, data, len(data) // 3, 2 * len(data) // 3, g.integers(20, 200))


def zeros(g, data, other):
    begin, size = g.integers(len(data)), g.integers(1, 2 + len(data) // 5)
    return data[:begin] + bytes(min(size, len(data) - begin)) + data[begin + size :]


def inserted(g, data, other):
    at = g.integers(len(data))
    return data[:at] + g.bytes(g.integers(1, 2000)) + data[at:]


def spliced(g, data, other):
    return data[: g.integers(len(data))] + other[g.integers(len(other)) :]


def doubled(g, data, other):
    return data + data


def swapped(g, data, other):
    a, b, c = sorted(g.integers(len(data), size=3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def huge_numbers(g, data, other):
    """Sizes, counts and times behind the names of fields, or anywhere in the first 2000 bytes, get extreme values."""
    changed, known = bytearray(data), [p for p in PLACES if p in data]
    for _ in range(g.integers(1, 4)):
        if known and g.random() < 0.8:
            name = known[g.integers(len(known))]
            at = max(data.find(name, int(g.integers(len(data)))), data.index(name)) + len(name) + int(g.integers(0, 32))
        else:
            at = int(g.integers(min(len(data), 2000)))
        size = (2, 4, 8)[g.integers(3)]
        word = (WORDS[g.integers(len(WORDS))] & (256**size - 1)).to_bytes(size, ("big", "little")[g.integers(2)])
        changed[at : at + size] = word[: max(0, len(changed) - at)]
    if data[12:16] == b"IHDR":  # else only the checksum would be seen to be wrong
        changed[29:33] = zlib.crc32(changed[12:29]).to_bytes(4, "big")
    return bytes(changed)


def noise(g, data, other):
    return g.bytes(g.integers(1, 5000))


def wrong_suffix(g, data, other):
    return data


def untouched(g, data, other):
    return data


DAMAGE = [cut_off, cut_off, headless, first_bytes, few_bits, few_bits, many_bits, header_bits, header_bits, middle_bits, zeros]
DAMAGE += [inserted, spliced, doubled, swapped, huge_numbers, huge_numbers, huge_numbers, noise, wrong_suffix, untouched]


@dataclass(frozen=True)
class Source:
    """A sound file: what it is, the bytes, and what it is used as."""

    kind: str
    suffix: str
    data: bytes
    medium: str


@dataclass(frozen=True)
class Damaged:
    """A file to try. damage: the name of what was done to it."""

    path: Path
    kind: str
    medium: str
    damage: str


def interlaced_png(picture: np.ndarray) -> bytes:
    """A grey picture, uint8 (H, W), as an interlaced PNG, which Pillow reads but cannot write."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in picture[y::dy, x::dx])
    chunk = lambda name, body: len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")  # noqa: E731
    header = picture.shape[1].to_bytes(4, "big") + picture.shape[0].to_bytes(4, "big") + bytes([8, 0, 0, 0, 1])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def images(folder: Path) -> list[Source]:
    """A small picture in every format."""
    picture = Image.fromarray(striped_clips.striped(341))
    deep = Image.fromarray(np.linspace(0, 65535, 64 * 160).astype(np.uint16).reshape(64, 160))
    made = {"png": picture, "png 16 bit": deep, "png palette": picture.convert("P"), "png alpha": picture.convert("RGBA")}
    made |= {kind: picture for kind in ("jpg", "gif", "webp", "bmp", "tiff", "avif")}
    made |= {"jpg grey": picture.convert("L"), "jpg cmyk": picture.convert("CMYK"), "tiff 16 bit": deep}
    found = [Source("png interlaced", "png", interlaced_png(np.asarray(picture.convert("L"))), "image")]
    found += [Source("heic", "heic", HEIC, "image"), Source("svg", "svg", SVG, "image")]
    for kind, image in made.items():
        path = folder / f"source.{kind.split()[0]}"
        image.save(path)
        found.append(Source(kind, path.suffix[1:], path.read_bytes(), "image"))
    return found


def sources(folder: Path) -> list[Source]:
    """One sound file of every kind."""
    found = images(folder)
    for medium, recipes in (("video", VIDEOS), ("audio", SOUNDS)):
        for kind, recipe in recipes.items():
            path = folder / f"source.{recipe.suffix}"
            clip_writer.make(path, recipe)
            found.append(Source(kind, recipe.suffix, path.read_bytes(), medium))
    return found


def damaged(folder: Path, count: int, seed: int) -> list[Damaged]:
    """Write `count` damaged files: every kind in turn, and each time another damage. A tenth is asked for as another medium."""
    g, made, found = np.random.default_rng(seed), sources(folder), []
    media, suffixes = ("video", "audio", "image"), sorted({s.suffix for s in made})
    order = np.concatenate([g.permutation(len(made)) for _ in range(-(-count // len(made)))])[:count]
    for n, index in enumerate(order):
        source, damage = made[index], DAMAGE[g.integers(len(DAMAGE))]
        data = damage(g, source.data, made[g.integers(len(made))].data)
        suffix = suffixes[g.integers(len(suffixes))] if damage is wrong_suffix else source.suffix
        medium = media[g.integers(3)] if g.random() < 0.1 else source.medium
        path = folder / f"{n:04d}_{damage.__name__}.{suffix}"
        path.write_bytes(data)
        found.append(Damaged(path, source.kind, medium, damage.__name__))
    return found
