"""Text files by lines. A line ends at a line feed and nowhere else: U+2028 or a form feed inside a text is part of the text."""

from pathlib import Path

from ..errors import InputError

MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}  # how files in another encoding begin


def read_text(path) -> str:
    """The text of a UTF-8 file; a byte order mark at its start is left out.

    Raises InputError that names the file and the line if the file is not UTF-8, and OSError if it cannot be read.
    """
    data = Path(path).read_bytes()
    for mark, name in MARKS.items():
        if data.startswith(mark):
            raise InputError(f"{path}, line 1: the file is {name}, not UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8"
        raise InputError(f"{wrong}; save the file as UTF-8") from None
    if 3 * data[:200].count(0) > len(data[:200]):
        raise InputError(f"{path}, line 1: the file looks like UTF-16, not UTF-8; save it as UTF-8")
    return text


def lines_of(path) -> list[str]:
    """The lines of a UTF-8 file without their ends, which are "\\n" or "\\r\\n". Raises what `read_text` raises."""
    return [line.removesuffix("\r") for line in read_text(path).split("\n")]
