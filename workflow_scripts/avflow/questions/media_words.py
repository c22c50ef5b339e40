"""How a sentence names its media: "the sound", "the four pictures", "the first, second or third picture", "the reference sound".

Media are numbered within their role and kind, as the options number them ("the third image"). One of several candidates gets its
ordinal. If a question's reference is of the same kind as its candidates, it is "the reference sound".
"""

import re
from dataclasses import dataclass

from .question import MediaItem

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
USUAL = {"image": "picture", "audio": "sound", "video": "clip"}
PLACE = {"image": "picture", "audio": "sound recording", "video": "clip"}  # what something is in: "the voice in the recording"
OTHER = {"image": "image", "audio": "recording", "video": "video"}  # where the usual noun has just been used
NOUN = {  # words for a medium, by kind
    "image": r"(?:images?|pictures?|photos?|photographs?|drawings?|figures?|illustrations?)",
    "audio": r"(?:(?:audio|sound|voice)\s+)?(?:clips?|recordings?|tracks?|samples?|files?|segments?|excerpts?)"
    r"|audios?|sounds?|noises?",
    "video": r"(?:video\s+)?clips?|videos?|films?|movies?",
}


@dataclass(frozen=True)
class Mention:
    """Media of one kind and role that are mentioned together.

    numbers: their numbers within role and kind, from 1; count: how many of the kind the role has; joint: "or", "and" or "".
    shared: whether media of the other role are of this kind, too.
    """

    kind: str
    role: str
    numbers: tuple[int, ...]
    count: int
    joint: str = ""
    shared: bool = False

    @property
    def whole(self) -> bool:
        """Whether all media of this kind and role are meant."""
        return set(self.numbers) == set(range(1, self.count + 1))

    def words(self, noun: str = "", singly: bool = False) -> str:
        """The media in words, with an article. noun: the noun in the singular. singly: name each, even if all are meant."""
        noun = noun or USUAL[self.kind]
        if self.shared and self.role == "reference":
            noun = f"reference {noun}"
        if self.count == 1:
            return f"the {noun}"
        if self.whole and not singly:
            return f"the {number(self.count)} {noun}s"
        listed = [ORDINALS[n - 1] if n <= len(ORDINALS) else f"{n}th" for n in self.numbers]
        joint = "or" if singly and self.whole else self.joint or "and"
        if len(listed) == 1:
            return f"the {listed[0]} {noun}"
        return f"the {', '.join(listed[:-1])} {joint} {listed[-1]} {noun}{'s' if joint == 'and' else ''}"


def number(count: int) -> str:
    """A number in words, if it is small."""
    return NUMBERS[count - 1] if count <= len(NUMBERS) else str(count)


def mention_of(found: list[MediaItem], media: tuple[MediaItem, ...], joint: str = "") -> Mention:
    """The mention of media of one kind and role, among all media of a question."""
    kind, role = found[0].kind, found[0].role
    peers = [m.id for m in media if (m.kind, m.role) == (kind, role)]
    shared = any(m.kind == kind and m.role != role for m in media)
    return Mention(kind, role, tuple(peers.index(m.id) + 1 for m in found), len(peers), joint, shared)


def is_named(kind: str, text: str) -> bool:
    """Whether a text holds a noun for media of a kind."""
    return re.search(rf"\b(?:{NOUN[kind]})\b", text, re.IGNORECASE) is not None


def singular(noun: str) -> str:
    return noun[:-1] if noun.lower().endswith("s") else noun
