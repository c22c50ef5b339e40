"""What a file's bytes say about it before it is decoded: that it is no medium at all, or that it was cut off.

Many containers state their own size: ISO media (mp4, mov, m4a), Matroska (mkv, webm), RIFF (avi, wav), ASF (wmv), W64, AIFF, AU,
CAF and mp3 with a header of its encoder; Ogg states that of every page. If the last part reaches beyond the end of the file, the
file is incomplete. Nothing here believes a size further than the file
reaches.
"""

import os
import struct

NO_MEDIUM = (  # first bytes, reason, what the file is and what to do
    (b"version https://git-lfs", "unreadable", "a Git LFS pointer and not the file itself; run: git lfs pull"),
    (b"<!doctype html", "unreadable", "a web page, perhaps a login or error page that was saved in its place; download it again"),
    (b"<html", "unreadable", "a web page, perhaps a login or error page that was saved in its place; download it again"),
    (b"pk\x03\x04", "unreadable", "a zip archive; unpack it, and name the file inside"),
    (b"\x1f\x8b", "unreadable", "a gzip archive; unpack it, and name the file inside"),
    (b"7z\xbc\xaf\x27\x1c", "unreadable", "a 7z archive; unpack it, and name the file inside"),
    (b"rar!\x1a\x07", "unreadable", "a rar archive; unpack it, and name the file inside"),
    (b"%pdf", "unsupported", "a PDF document; export the page as PNG"),
    (b"%!ps", "unsupported", "a PostScript document; export the page as PNG"),
    (b"<?xml", "unreadable", "an XML text, perhaps an error message that was saved in its place; download it again"),
    (b"{", "unreadable", "a JSON text, perhaps an error message that was saved in its place; download it again"),
    (b"#extm3u", "unsupported", "a playlist; name the media file itself, or join its parts into one file"),
    (b"ffconcat", "unsupported", "a playlist; name the media file itself, or join its parts into one file"),
)
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands of pictures in HEVC
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")  # identifiers of ASF's header and of the object that states the size
FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
BOXES = b"ftyp styp moov moof mdat mfra meta free skip wide sidx ssix prft emsg pdin uuid udta junk pnot PICT".split()
W64 = bytes.fromhex("726966662e91cf11a5d628db")
SEGMENT = 0x18538067  # Matroska's element that holds everything but the header


def kind_of_bytes(head: bytes) -> tuple[str, str] | None:
    """(reason, description with remedy) if the first bytes are those of no medium that can be read; else None."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<svg") or start.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in start:
        return "unsupported", "an SVG drawing; export it as PNG"
    for magic, reason, what in NO_MEDIUM:
        if start.startswith(magic):
            return reason, what
    if head[4:8] == b"ftyp" and head[8:12] in HEIF:
        return "unsupported", "a HEIC picture; save it as PNG or JPEG"
    return None


def ends_early(path) -> bool:
    """Whether the file ends before its last part does, by the sizes that its container states. False if it states none."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _boxes_end(file, size) > size
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _segment_end(file) > size
        if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
            stated = struct.unpack("<I", head[4:8])[0]
            unknown = stated == 0 or stated >= 0xFFFFFF00 or stated == 0x7FFFFFFF  # a writer that could not go back
            return not unknown and 8 + stated > size + 8  # some writers count the header or a filling byte
        if head[:4] == b"FORM":
            return 8 + struct.unpack(">I", head[4:8])[0] > size + 8
        if head[:4] == b".snd":
            start, stated = struct.unpack(">II", head[4:])
            return stated != 0xFFFFFFFF and start + stated > size
        if head == W64:
            file.seek(16)
            return struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0] > size
        if head[:4] == b"caff":
            return _chunks_end(file, size) > size
        if head[:4] == b"OggS":
            return _pages_end(file, size) > size
        if head[:3] == b"ID3" or head[0] == 0xFF and head[1:2] >= b"\xe0":
            return _stated_by_encoder(file) > size
        if head == ASF[:12]:
            file.seek(0)
            at = (start := file.read(1 << 16)).find(FILE_PROPERTIES)
            return at > 0 and struct.unpack_from("<Q", start.ljust(at + 48), at + 40)[0] > size
    return False


def _boxes_end(file, size: int) -> int:
    """The end in bytes of the last top-level box of an ISO media file. Stops at what is no box, such as filling bytes."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, name = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8 or name not in BOXES:
            break  # 0: the box reaches to the end of the file
        if name == b"moof" and _counts_too_many(file, at, min(length, size - at)):
            return at + size
        at += length
    return at


def _counts_too_many(file, at: int, length: int) -> bool:
    """Whether a fragment counts more samples than the file has bytes. FFmpeg would reserve memory for all of them."""
    file.seek(at)
    fragment, size = file.read(min(length, 1 << 24)), os.fstat(file.fileno()).st_size
    run = fragment.find(b"trun")
    while run >= 0:
        if int.from_bytes(fragment[run + 8 : run + 12], "big") > size:
            return True
        run = fragment.find(b"trun", run + 4)
    return False


def _chunks_end(file, size: int) -> int:
    """The end in bytes of the last chunk of a CAF file; 0 if it is not stated."""
    at = 8
    while at + 12 <= size:
        file.seek(at + 4)
        length = struct.unpack(">q", file.read(8))[0]
        if length < 0:
            return 0
        at += 12 + length
    return at


def _pages_end(file, size: int) -> int:
    """The end in bytes of the last page of an Ogg file; a page has at most 65,307 bytes."""
    first = max(0, size - (1 << 17))
    file.seek(first)
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return size + 1 if at >= 0 else 0
    count = tail[at + 26]
    return first + at + 27 + count + sum(tail[at + 27 : at + 27 + count])


def _stated_by_encoder(file) -> int:
    """The end in bytes of an mp3 as its encoder's header states it; 0 if there is no such header."""
    file.seek(0)
    head = file.read(10)
    start = sum((byte & 127) << 7 * i for i, byte in enumerate(reversed(head[6:10]))) + 10 if head[:3] == b"ID3" else 0
    file.seek(start)
    frame = file.read(4096)
    for mark in (b"Xing", b"Info"):
        at = frame.find(mark)
        if 0 < at < 200:
            flags = frame[at + 7] if len(frame) > at + 7 else 0
            place = at + 8 + 4 * (flags & 1)
            return start + int.from_bytes(frame[place : place + 4], "big") if flags & 2 else 0
    at = frame.find(b"VBRI")
    return start + int.from_bytes(frame[at + 10 : at + 14], "big") if 0 < at < 200 else 0


def _segment_end(file) -> int:
    """The end in bytes of a Matroska file's segment; 0 if it is not stated or not found."""
    file.seek(0)
    head, at = file.read(1 << 12), 0
    for _ in range(3):  # the header, perhaps a filling element, the segment
        name, at, _ = _number(head, at, keep_mark=True)
        length, at, known = _number(head, at, keep_mark=False)
        if name == SEGMENT:
            return at + length if known else 0
        at += length
        if at >= len(head):
            break
    return 0


def _number(head: bytes, at: int, keep_mark: bool) -> tuple[int, int, bool]:
    """A number of variable length in Matroska: (value, position after it, whether it is a value and not "unknown")."""
    first = head[at] if at < len(head) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(head):
        return 0, len(head), False
    value = int.from_bytes(head[at : at + length], "big")
    bits = (1 << 7 * length) - 1
    known = value & bits != bits
    return (value if keep_mark else value & bits), at + length, known
