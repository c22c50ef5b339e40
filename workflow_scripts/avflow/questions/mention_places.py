"""Put the name of media where their tags stood, so that the sentence stays a sentence.

What stands before the tags decides:

    the picture [img1]              the words name it already; the tag goes
    the sound of [audio1]           likewise, with the preposition
    the animal [img1]               the noun is not the medium: "the animal in the picture"
    in image [img2]                 a noun without an article: "in the second image"
    Given [audio1], among [img1], [img2], [img3], [img4]
                                    a name: "Given the sound, among the four pictures"

Every function takes a sentence up to the tags (left), the mention, and the rest of the sentence (right). It returns both, with
the name at the end of left.
"""

import re

from .media_words import NOUN, NUMBERS, ORDINALS, OTHER, PLACE, USUAL, Mention, number, singular
from .sentence_words import (
    ARTICLES,
    ASKING,
    ATTRIBUTES,
    CHOOSING,
    CLOSED,
    DESCRIBED,
    DETERMINERS,
    LOCATIVE,
    OPENING,
    PARTITIVE,
    PREPOSITIONS,
    QUESTIONING,
    VERBS,
)


def put(left: str, mention: Mention, right: str) -> tuple[str, str]:
    """The sentence with the media named. See the module's docstring."""
    bracketed = left.rstrip().endswith("(") and right.lstrip().startswith(")")
    if bracketed:
        left, right = left.rstrip()[:-1], right.lstrip()[1:]
    for rule in (_named_before, _named_earlier, _of_its_noun, _in_apposition):
        if done := rule(left, mention, right, bracketed):
            return _with_comma(*done)
    if bracketed:
        return f"{left.rstrip()} ({mention.words()})", right
    after = re.match(rf"\s+({NOUN[mention.kind]})\b", right, re.IGNORECASE)
    if after and _last(left) in ARTICLES and (after[1][-1] == "s") == (mention.whole and mention.count > 1):
        return _plain(left, mention, right[after.end() :], singular(after[1]))
    return _with_comma(*_plain(left, mention, right))


def _with_comma(left: str, right: str) -> tuple[str, str]:
    """The same with a comma between an opening such as "Of these recordings" and its question."""
    opens = left.split()[0].lower() in OPENING and not re.search(r"[,;:]", left)
    asks = re.match(r"\s*(?:which|what|who|where)\b", right, re.IGNORECASE)
    return (left, f", {right.lstrip()}") if opens and asks else (left, right)


def _named_before(left, mention, right, bracketed):
    """A noun for the medium stands right before the tags: "the picture [img1]", "these recordings: [audio1], [audio2]"."""
    found = re.search(rf"\b({NOUN[mention.kind]})\s*([,:]?)\s*$", left, re.IGNORECASE)
    rest = right.lstrip()
    if not found or found[2] and not mention.whole or found[2] == "," and rest[:1] not in ("", *",.?!"):
        return None
    noun, mark, before = found[1], found[2], left[: found.start()]
    start, held = _held(before)
    described = left[start:].split(None, 1)[1] if held else noun
    described = singular(described[: described.lower().rindex(noun.lower()) + len(noun)])
    many = noun.lower().endswith("s")
    reference = mention.shared and mention.role == "reference"
    if held in ORDINALS and not mention.whole:
        kept = left[: found.end(1)]
    elif held is None or not mention.whole or reference:
        start = start if held else found.start()
        singly = mention.joint == "or" and _last(left[:start]) not in CHOOSING
        kept = left[:start] + mention.words(_bare(described), singly)
    elif many or mention.count == 1 or held in QUESTIONING or bracketed or mark or _last(left[:start]) not in PREPOSITIONS:
        kept = left[: found.end(1)]
    else:
        kept = left[:start] + mention.words(_bare(described))
    return kept, _after_noun(kept, mark, rest, right)


def _after_noun(kept: str, mark: str, rest: str, right: str) -> str:
    """The rest of the sentence behind a noun whose tags are gone, with the commas that it needs."""
    opens = kept.split()[0].lower() in OPENING and "," not in kept
    if mark == "," and rest.startswith(","):
        return rest if opens else rest[1:]
    if mark == ":" and rest[:1].isalnum():
        return f", {rest}"
    return rest if rest[:1] in (*",.?!;:)",) else right


def _named_earlier(left, mention, right, bracketed):
    """The clause names the medium, and the tags only follow it: "a picture of a gun [img1]", "A sound is given: [audio1]."."""
    noun, rest = NOUN[mention.kind], right.lstrip()
    if mention.shared or not mention.whole:
        return None
    if left.rstrip().endswith(":") and rest[:1] in ("", "."):
        clause = re.split(r"[.;?!]", left)[-1]
        return (left.rstrip()[:-1], rest) if re.search(rf"\b(?:{noun})\b", clause, re.IGNORECASE) else None
    found = re.search(rf"\b(?:{noun})\s+of\s+((?:[\w'-]+\s+){{1,4}}?[\w'-]+)(,?)\s*$", left, re.IGNORECASE)
    if not found or mention.count > 1 or found[2] and rest[:1] not in (",", ".", "?"):
        return None
    words = found[1].lower().split()
    return (left[: found.end(1)], right) if _is_noun(words) and not set(words) & (CLOSED - DETERMINERS) else None


def _of_its_noun(left, mention, right, bracketed):
    """A noun for the medium and a preposition stand before the tags: "the sound of [audio1]"."""
    found = re.search(rf"\b({NOUN[mention.kind]})\s+(?:of|in|from|on|within)\s*$", left, re.IGNORECASE)
    if not found or mention.shared:
        return None
    start, held = _held(left[: found.start()])
    many = found[1].lower().endswith("s")
    if held is None or held in ("which", "what") or mention.whole and many != (mention.count > 1):
        return None
    return (left[: found.end(1)] if mention.whole else left[:start] + mention.words(singular(found[1]))), right


def _in_apposition(left, mention, right, bracketed):
    """A noun for something else stands before the tags: "the animal [img1]" becomes "the animal in the picture"."""
    words = re.findall(r"[\w'-]+|[^\w\s]", left.lower())[-3:]
    asked = {"which", "what"} if mention.whole and mention.count > 1 else set()
    if not words or not (_is_noun(words, asked) or bracketed and words[-1].isalpha() and words[-1] not in CLOSED):
        return None
    return f"{left.rstrip()} in {mention.words(_noun_for(left, mention, 'in'))}", right


def _is_noun(words: list[str], asked: set = frozenset()) -> bool:
    """Whether the last word is a noun with an article one or two words before it, as far as a look at the words can tell.

    asked: words that count as articles, too.
    """
    articles = (ARTICLES - {"that"}) | set(NUMBERS) - {"one"} | asked
    *_, last = words
    if last in CLOSED or not last.isalpha() or last.endswith("ly"):
        return False
    if len(words) > 1 and words[-2] in articles:
        return True
    verbal = last.endswith(("s", "ed", "ing")) or words[-2:-1] and (words[-2] in CLOSED or words[-2].endswith("ly"))
    return len(words) > 2 and words[-3] in articles and words[-2].isalpha() and not verbal


def _plain(left, mention, right, noun=""):
    """The media by name."""
    last = _last(left)
    if last == number(mention.count) and mention.whole and mention.count > 1:  # "the four [img1] .."
        left, last = _without(left), _last(_without(left))
    if last in DESCRIBED and _last(_without(left)) in ARTICLES:
        plural = "s" if mention.whole and mention.count > 1 else ""
        return f"{left.rstrip()} {(noun or USUAL[mention.kind]) + plural}", right
    if last in ("the", "a", "an"):
        left, last = _without(left), _last(_without(left))
    elif last in ARTICLES - {"that"}:
        return f"{left.rstrip()} {mention.words(noun).removeprefix('the ')}", right
    elif last in ("each", "every", "which", "what") and mention.count > 1 and mention.whole:
        left, last = f"{_without(left)}{'each' if last == 'every' else left.split()[-1]} of ", "of"
    if last == "of" and not noun and _of_something(left, mention):
        left, last = f"{_without(left)}in ", "in"
    lists = left.rstrip().endswith(":") and (mention.joint == "or" or right.lstrip()[:1] == "?")
    either = mention.joint == "or" and (last not in CHOOSING or _asks_yes_or_no(left) or _of_one_thing(left))
    singly = either or lists or last in ("either", "whether")
    singly = singly and last not in ("are", "were")
    words = mention.words(noun or ("" if singly else _noun_for(left, mention, last, right)), singly)
    space = " " if left and not left[-1].isspace() and left[-1] not in "(\"'“‘" else ""
    return f"{left}{space}{words}", right


def _asks_yes_or_no(left: str) -> bool:
    return bool(left.split()) and left.split()[0].lower() in ASKING


def _of_one_thing(left: str) -> bool:
    """Whether one thing is in one of the media: "the animal in [img1] or [img2]", but "which animal in" or "the animals in"."""
    words = re.findall(r"[\w'-]+|[^\w\s]", left.lower())[:-1]
    return (
        words[-1:] == ["that"] or words[-2:] == ["the", "one"] or _is_noun(words[-3:]) and not words[-1].endswith("s")
        if words
        else False
    )


def _of_something(left: str, mention: Mention) -> bool:
    """Whether "of" joins the medium to what is in it, as in "the shot of [audio1]"."""
    words = re.findall(r"[\w'-]+|[^\w\s]", left.lower())[:-1]
    return mention.count == 1 and bool(words) and words[-1] not in ATTRIBUTES | PARTITIVE and _is_noun(words[-3:])


def _noun_for(left: str, mention: Mention, last: str, right: str = "") -> str:
    """The noun that fits behind the word `last`: things are in a recording, not in a sound. It is not said twice in a row."""
    usual = USUAL[mention.kind]
    near = re.findall(r"\w+", left.lower())[-4:] + re.findall(r"\w+", right.lower())[:1]
    if mention.whole and not mention.shared and {usual, f"{usual}s"} & set(near):
        return OTHER[mention.kind]
    place = last in LOCATIVE or last == "from" and mention.count == 1
    return PLACE[mention.kind] if place and not mention.shared else usual


def _held(before: str) -> tuple[int, str | None]:
    """Where the noun phrase starts whose noun follows `before`, and its determiner in lower case; None without one."""
    words, found = list(re.finditer(r"[\w'-]+", before)), None
    end = len(before)
    for word in reversed(words[-4:]):
        text = word[0].lower()
        adjective = text in DESCRIBED and _last(before[: word.start()]) in DETERMINERS  # "the four given images"
        if before[word.end() : end].strip() or text in PREPOSITIONS and not adjective or text in VERBS - {"that", "best", "most"}:
            break
        if text in DETERMINERS:
            found = (word.start(), text) if not found or text not in NUMBERS or found[1] in NUMBERS else found
        elif found:
            break
        end = word.start()
    return found or (len(before), None)


def _bare(described: str) -> str:
    """A noun phrase in the singular without numbers and ordinals."""
    return " ".join(word for word in described.split() if word.lower() not in DETERMINERS)


def _last(text: str) -> str:
    """The last word in lower case; empty behind a mark of punctuation."""
    found = re.search(r"([\w'-]+)\s*$", text)
    return found[1].lower() if found else ""


def _without(text: str) -> str:
    """The text without its last word."""
    return re.sub(r"[\w'-]+\s*$", "", text)
