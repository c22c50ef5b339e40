"""Media tags inside a question, such as [audio1] and [img4], and the media that they stand for.

[img2] is the second picture among the question's media, [audio1] the first sound. A tag may occur again: the medium stands where
its tag stands first, and the others only mention it.
"""

import re

from ..errors import Unusable
from .question import MediaItem

TAG = re.compile(r"\[(audio|img|video)(\d+)\]")
KINDS = {"audio": "audio", "img": "image", "video": "video"}


def named(media: tuple[MediaItem, ...]) -> dict[tuple[str, int], MediaItem]:
    """(tag's word, number) -> medium, for example ("img", 2): media of a kind are numbered from 1 in their order."""
    counts, found = dict.fromkeys(KINDS.values(), 0), {}
    word = {kind: tag for tag, kind in KINDS.items()}
    for medium in media:
        counts[medium.kind] += 1
        found[word[medium.kind], counts[medium.kind]] = medium
    return found


def check_tags(text: str, media: tuple[MediaItem, ...], where: str) -> None:
    """Raises Unusable, which names `where`, unless every medium has a tag in the text and every tag a medium."""
    tags = {(tag, int(number)) for tag, number in TAG.findall(text)}
    if tags != set(named(media)):
        show = lambda pairs: ", ".join(f"[{tag}{number}]" for tag, number in sorted(pairs)) or "none"  # noqa: E731
        told = f"its tags {show(tags)} do not name its media one to one; needed: {show(named(media))}"
        raise Unusable("bad_tags", f"{where}: {told}")
