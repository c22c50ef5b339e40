"""A question in words alone: tags become names, so that the parts of a prompt can stand in any order.

    Out of [img1], [img2], [img3], and [img4], which one makes the noise of [audio1]?
    Out of the four pictures, which one makes the noise?

`reworded` raises Unusable as not_reordered, with the reason, for a sentence that cannot be asked so. It may say where a medium
stands ("the sound above"), or in which order media come ("first listen to .."), or name a medium only by its tag. Such a question
is asked in the benchmark's own order, and in no other.
"""

import re

from ..errors import Unusable
from .media_words import NOUN, is_named, mention_of
from .mention_places import put
from .question import MediaItem
from .sentence_words import OPENING, VERBS
from .tags import TAG, named

JOINED = re.compile(r"\s*(?:[,;/]\s*)?(?:(?P<joint>or|and|&)\s+)?")
SENTENCE = re.compile(r"(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<=[.?!])(?:\s+|(?=\[))|\s*\n\s*")
LABEL = re.compile(rf"\b(?:the\s+)?(?:(?:candidate|reference|given)\s+)?(?:{'|'.join(NOUN.values())})\s*\d*\s*:", re.IGNORECASE)
LEADING = re.compile(rf"((?:{TAG.pattern}[\s,;]*(?:(?:and|or)\s+)?)+)(?=[A-Z])")
MARKED = re.compile(r"(?:^|[\s(,])(?:[A-Ha-h]|\d+)[.):]\s*$|\d\s*$|-$")  # a label of its own, or half a word
SOUNDING = r"sounds?\s+(?:(?:most|more|best|exactly|just|very)\s+)*(?:like|as|similar|close|closest)\b"  # else a noun
ACTING = rf"(?:(?:{'|'.join(sorted(VERBS - {'sound', 'sounds'}))})\b|{SOUNDING})"
FOLLOWING = re.compile(rf"\b(the|these)\s+following\s+(?!{ACTING})(?=[a-z\[])", re.IGNORECASE)
LISTED = re.compile(rf"\bthe following(?=\s+{ACTING})", re.IGNORECASE)
RUN = r"(?P<run>\[(?P<tag>audio|img|video)\d+\](?:[\s,;/]*(?:(?:and|or|&)\s+)?\[(?P=tag)\d+\])+)"  # tags of one kind
LISTED_LAST = re.compile(rf"{LISTED.pattern}(?P<asked>[^.?!]*?)\s*[:,-]\s*{RUN}(?=\s*(?:[.?!]|$))", re.IGNORECASE)
INSERTED = re.compile(rf"\bthe following,\s*{RUN}\s*,", re.IGNORECASE)  # "the following, [img1], [img2], is .."
MEDIA = "|".join(NOUN.values())
AROUND = re.compile(
    rf"\b(?P<the>the|these)\s+(?:above|below)(?=(?:\s+\w+){{0,2}}\s+(?:{MEDIA})\b)"
    rf"|\b(?P<what>{MEDIA}|shown|listed|given)\s+(?:above|below)\b",
    re.IGNORECASE,
)
PLACED = re.compile(r"\b(above|below|following|preceding|previous|former|latter)\b", re.IGNORECASE)
IN_TURN = re.compile(
    r"\b(first|then|next|afterwards|finally|lastly)\b,?\s+(?:you\s+|we\s+|please\s+|will\s+)*"
    r"(?:hear|see|listen|look|watch|view|examine|comes?|is|are)\b",
    re.IGNORECASE,
)
BROKEN = re.compile(
    r"\(\s*\)|\s[,.;:?!)]|[,;:]\s*[,.;:?!]|^\W*[,.;:?!]"
    r"|\b(?:the|an?|this|these|those|its)\s+(?:the|an?|this|these|those|its)\b|\b(\w+)\s+(?:the\s+)?\1\b",
    re.IGNORECASE,
)
HANGING = re.compile(r"\b(?:in|of|from|with|on|among|between|at|by|for|to|like|as|or|and|the)\s*[,.;:?!]", re.IGNORECASE)


def reworded(text: str, media: tuple[MediaItem, ...]) -> str:
    """The text of a question with all media named instead of tagged.

    Raises Unusable if the sentence cannot be asked in another order of the parts.
    """
    text, alone, written = _unplaced(text), [], []
    for sentence in _sentences(text):
        if _is_alone(sentence):
            alone.append(sentence)
        else:
            written.append(_named(sentence, media, lambda medium: True))
    found = "".join(s + (" " if s.endswith((".", "?", "!")) else "\n") for s in written).strip()  # as they were divided
    if LISTED.search(found) and (choice := _choices("", alone, media)):
        found = LISTED.sub(choice[-1].removeprefix("Choose from ")[:-1], found)
    found = " ".join([found, *_choices(found, alone, media)]).strip()
    _check(found, text)
    return found


def with_repeats_named(text: str, media: tuple[MediaItem, ...]) -> str:
    """The text in which every medium keeps its first tag, and further tags of it are names."""
    seen, ends = set(), {}
    for tag in TAG.finditer(text):
        medium = named(media)[tag[1], int(tag[2])]
        ends[tag.start()] = medium.id in seen
        seen.add(medium.id)
    if not any(ends.values()):
        return text
    again = iter(ends.values())
    return "".join(
        part if SENTENCE.fullmatch(part) else _named(part, media, lambda medium: next(again))
        for part in re.split(f"({SENTENCE.pattern})", text)
        if part
    )


def _unplaced(text: str) -> str:
    """The text without words that say where media stand, where it means the same without them: "the following pictures"."""
    text = re.sub(r"\s+(?=[,.;:?!](?:\s|$))", "", re.sub(r"[^\S\n]+", " ", text)).strip()
    text = LISTED_LAST.sub(r"\g<run>\g<asked>", text)  # "which of the following makes [audio1]: [img1], [img2]?"
    text = INSERTED.sub(lambda found: f"the {found['run']}{',' if _opens(text, found) else ''}", text)
    text = re.sub(r"\b(the|these) following\s*:?\s*(?=\[)", r"\1 ", text, flags=re.IGNORECASE)
    text = FOLLOWING.sub(r"\1 ", text)
    return AROUND.sub(lambda found: found["the"] or found["what"], text)


def _opens(text: str, found: re.Match) -> bool:
    """Whether the words before a match in their sentence are an opening such as "Among", which a comma ends."""
    before = SENTENCE.split(text[: found.start()])[-1].split()
    return bool(before) and before[0].lower() in OPENING


def _sentences(text: str) -> list[str]:
    """The sentences. Tags that open one, before its capital letter, are a sentence of their own."""
    found = []
    for sentence in filter(None, SENTENCE.split(text)):
        if (opening := LEADING.match(sentence)) and _is_alone(opening[1]):
            found, sentence = [*found, opening[1]], sentence[opening.end() :]
        found.append(sentence)
    return found


def _is_alone(sentence: str) -> bool:
    """Whether a sentence holds tags and no words but labels such as "Images:"."""
    rest = re.sub(r"\b(?:and|or)\b|[^\w\s]", "", LABEL.sub("", TAG.sub("", sentence)))
    return TAG.search(sentence) is not None and not rest.strip()


def _named(sentence: str, media: tuple[MediaItem, ...], chosen) -> str:
    """The sentence with names for its tags. chosen: whether to name a medium at its next tag; other tags stay."""
    texts, runs = _runs(sentence, named(media), chosen)
    left = ""
    for number, (found, joint) in enumerate(runs):
        if number and not re.search(r"[\w:;]", texts[number]):
            raise _refused("two media stand side by side with no word between them")
        left += texts[number]
        if MARKED.search(left) or re.match(r"-\w", texts[number + 1]):
            raise _refused("a tag stands behind a label of its own or inside a word")
        opens = not re.search(r"\w", left)
        left, texts[number + 1] = put(left, mention_of(found, media, joint), texts[number + 1])
        left = _capital(left) if opens else left
        left += " " if texts[number + 1][:1].isalnum() else ""
    return left + texts[-1]


def _runs(sentence: str, known: dict, chosen) -> tuple[list[str], list[tuple]]:
    """The texts around runs of tags, and the runs as (media, "or", "and" or ""), each of one kind and role, no words inside."""
    texts, runs, end = [], [], 0
    for tag in TAG.finditer(sentence):
        medium = known[tag[1], int(tag[2])]
        if not chosen(medium):
            continue
        joined = JOINED.fullmatch(sentence, end, tag.start()) if runs else None
        found, joint = runs[-1] if runs else ([], "")
        if joined and (medium.kind, medium.role) == (found[0].kind, found[0].role) and medium not in found:
            joint = "and" if joined["joint"] == "&" else joined["joint"] or joint
            runs[-1] = ([*found, medium], joint)
        else:
            texts.append(sentence[end : tag.start()])
            runs.append(([medium], ""))
        end = tag.end()
    return [*texts, sentence[end:]], runs


def _choices(text: str, alone: list[str], media) -> list[str]:
    """What to add for media whose tags stand alone: nothing if the text names them, else "Choose from the four pictures."."""
    known, found = named(media), []
    tagged = {(tag, int(number)) for sentence in alone for tag, number in TAG.findall(sentence)}
    here = [medium for place, medium in known.items() if place in tagged]
    for kind in dict.fromkeys(medium.kind for medium in here):
        mine = [medium for medium in here if medium.kind == kind]
        if is_named(kind, text):
            continue
        tag = next(f"[{word}{n}]" for (word, n), medium in known.items() if medium in mine)
        if any(medium.role == "reference" for medium in mine) or not (mention := mention_of(mine, media)).whole:
            raise _refused(f"no word names {tag}")
        found.append(f"Choose from {mention.words()}.")
    return found


def _check(found: str, before: str) -> None:
    """Raises Unusable if the wording is not a sentence, or not true in another order."""
    if place := PLACED.search(found):
        raise _refused(f"it says where a medium stands ({place[1]!r})")
    if turn := IN_TURN.search(found):
        raise _refused(f"it says in which order media come ({turn[0]!r})")
    if TAG.search(found) or BROKEN.search(found) or len(HANGING.findall(found)) > len(HANGING.findall(before)):
        raise _refused(f"naming its media gives no sentence: {found!r}")


def _capital(text: str) -> str:
    first = re.search(r"\w", text)
    return text[: first.start()] + text[first.start()].upper() + text[first.end() :] if first else text


def _refused(why: str) -> Unusable:
    return Unusable("not_reordered", why)
