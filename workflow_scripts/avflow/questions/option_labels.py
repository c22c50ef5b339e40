"""The labels of options: which can be read out, which stand before the options' texts, and which one an answer means.

A model answers with one token. So a label is one letter, one digit, or Yes, No, True or False.

Options may come with labels in their texts: "A. hiss", "(b) tone", "3) buzz". The labels are taken off if all options carry one
and they run A, B, C or a, b, c or 1, 2, 3 or 0, 1, 2. A list that only looks so is refused: its labels would stand in the prompt
twice ("A. A. hiss"), or the answer could mean another option than the prompt shows. "A. Lincoln" as the third of unlettered
options is a text like any other.
"""

import re
import string
import unicodedata

from ..errors import Unusable
from .texts import shown

WORDS = tuple(form for word in ("yes", "no", "true", "false") for form in (word, word.title(), word.upper()))
LABELS = (*string.ascii_uppercase, *string.ascii_lowercase, *"1234567890", *WORDS)  # what the families write as one token
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
RUNS = {
    "letters": list(string.ascii_uppercase),
    "small letters": list(string.ascii_lowercase),
    "numbers": [str(n) for n in range(1, 1000)],
    "numbers from 0": [str(n) for n in range(1000)],
    "Roman numerals": list(ROMAN),
    "small Roman numerals": [r.lower() for r in ROMAN],
}
PLAIN = ("letters", "small letters", "numbers")
NAME = r"([A-Za-z]|[IVXivx]{2,4}|\d{1,3})"
BEFORE, AFTER = (
    rf"[(\[]\s*{NAME}\s*[)\]][.:]?",
    rf"{NAME}\s*(?:\.\)|[.:)\]、。])(?!(?<=\d.)\d|[A-Za-z]\.)",
)  # not "1.5 m", not "a.m."
MARK = re.compile(rf"(?:[Oo]ption\s+)?(?:{BEFORE}|{AFTER})\s*(\S.*)", re.DOTALL)
DASHED = re.compile(rf"{NAME}\s*[-–—](?!\d)\s*(\S.*)", re.DOTALL)  # "A - hiss", but "A - B" is also a way from A to B
LOOSE = re.compile(
    r"[\W_]*(?:(?:option|answer|choice)\s+)?([^\W\d_])[\W_]+(\w.*)", re.DOTALL | re.IGNORECASE
)  # "**A.** hiss", "A hiss"
ROUND = re.compile(r"[\W_]*([①-⑳⓪Ⓐ-ⓩ⑴-⒇])\s*(\S.*)", re.DOTALL)  # labels in circles and brackets
ALPHABETS = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "АБВГДЕЖЗИКЛМНОП", "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟ")
REMEDY = "write all options without labels, or all with labels in order, or as objects with label and text"


def marked(text: str, pattern=MARK) -> tuple[str, str] | None:
    """("A", "hiss") for "A. hiss", "(A) hiss", "A) hiss" or "A: hiss", with wide brackets, too. None for other texts."""
    wide = "".join(unicodedata.normalize("NFKC", c) if "\uff01" <= c <= "\uff5e" else c for c in text)
    found = pattern.fullmatch(wide.strip())
    if not found:
        return None
    rest = found[found.lastindex]
    return next(name for name in found.groups() if name), text.strip()[-len(rest) :]


def run_of(names: list[str]) -> str | None:
    """The kind of run that these labels are from its start, such as "letters", or None."""
    return next((kind for kind, run in RUNS.items() if names == run[: len(names)]), None)


def split_labels(texts: list[str], labels: list[str | None], where: str) -> list[tuple[str, str]]:
    """(label, text) of every option. labels: those given apart from the texts, None where there is none.

    Without any label, the options are A, B, .. Raises Unusable as bad_options if labels are missing, doubled, contradict each
    other or cannot be read out.
    """

    def refuse(what):
        raise Unusable("bad_options", f"{where}: {what}")

    listed = ", ".join(map(shown, texts[:6])) + (", .." if len(texts) > 6 else "")
    found = [marked(text) for text in texts]
    names = [one[0] if one else None for one in found]
    given = [label for label in labels if label is not None]
    if len(texts) >= 2 and run_of(names):
        if any(label not in (None, name) for label, name in zip(labels, names)):
            refuse(f"the options {listed} begin with other labels than their keys label: {given}; {REMEDY}")
        pairs = found
    elif given and len(given) < len(texts):
        refuse(f"only {len(given)} of {len(texts)} options have the key label; {REMEDY}")
    elif given:
        doubled = next((text for text, label, name in zip(texts, labels, names) if label == name), None)
        if doubled is not None and sum(label == name for label, name in zip(labels, names)) > 1:
            refuse(f"some texts of options repeat their labels, such as {shown(doubled)}; {REMEDY}")
        pairs = list(zip(labels, texts))
    else:
        dashed = [marked(text, DASHED) for text in texts]
        if len(texts) >= 2 and (run_of([one[0] if one else None for one in dashed]) or _loosely_lettered(texts)):
            refuse(f"the options {listed} may begin with labels; {REMEDY}")
        if _half_lettered(names):
            refuse(f"some options of {listed} begin with labels that are not A, B, .. in order; {REMEDY}")
        if len(texts) > len(string.ascii_uppercase):
            refuse(f"{len(texts)} options; at most {len(string.ascii_uppercase)} can be lettered: leave some out")
        pairs = list(zip(string.ascii_uppercase, texts))
    check_labels([label for label, _ in pairs], where)
    return pairs


def check_labels(labels, where: str) -> None:
    """Raises Unusable as bad_options if there are fewer than two labels, if two are equal, or if one cannot be read out."""
    if len(labels) < 2 or any(labels.count(label) > 1 for label in labels):
        raise Unusable("bad_options", f"{where}: options {labels} need two or more labels, all different")
    for label in labels:
        if label not in LABELS:
            known = "one letter (A to Z, a to z), one digit, or Yes, No, True or False"
            raise Unusable("bad_options", f"{where}: label {shown(label)} cannot be read out as one token; a label is {known}")


def _loosely_lettered(texts: list[str]) -> bool:
    """Whether all texts seem to carry labels in a form that is not taken off: "**A.** hiss", "A hiss", "① hiss", "а) да"."""
    if len(texts) < 3 and all(re.match(r"[A-Za-z] \w", text.strip()) for text in texts):
        return False  # "A sharp", "B flat"
    letters = [LOOSE.fullmatch(text.strip()) for text in texts]
    names = "".join(found[1].upper() if found else " " for found in letters)
    return all(ROUND.fullmatch(text.strip()) for text in texts) or any(run.startswith(names) for run in ALPHABETS)


def _half_lettered(names: list[str | None]) -> bool:
    """Whether options without keys may be a list with faulty labels. names: the labels that the texts begin with, or None.

    True if a letter or number stands at its own place, such as "B. tone" as the second option; if two or more labels are from the
    first n; or if neighbouring options carry neighbouring labels, such as "C. buzz" and "D. chirp".
    """
    for kind, run in RUNS.items():
        at = [run.index(name) if name in run else None for name in names]
        if kind in PLAIN and any(i == place for i, place in enumerate(at)):
            return True
        if sum(place is not None and place < len(names) for place in at) >= 2:
            return True
        if any(a is not None and b == a + 1 for a, b in zip(at, at[1:])):
            return True
    return False


def answer_of(answer, pairs: list[tuple[str, str]], where: str, sure: bool) -> str:
    """The label that an answer means: a label, also in brackets, with a dot or in the other case; or an option's text.

    pairs: (label, text) of every option. sure: whether the labels come with the question, so that an exact label is meant as one.
    Raises Unusable as bad_answer if no option or more than one can be meant.
    """
    labels = [label for label, _ in pairs]

    def refuse(why):
        raise Unusable("bad_answer", f"{where}: answer {shown(answer)} {why}; write one of the labels {labels}")

    if not isinstance(answer, str):
        refuse("is not a text")
    plain = answer.strip()
    exact = {label for label, text in pairs if text.strip() == plain} or {
        label for label, text in pairs if text.strip().casefold() == plain.casefold()
    }
    if plain in labels:
        if not sure and exact - {plain}:
            refuse(f"is the label of one option and the text of option {min(exact)}")
        return plain
    bare = re.sub(r"^[(\[（]\s*|\s*[)\].:、。）．：]+$", "", plain)
    named = {label for label in labels if label == bare} or {label for label in labels if label.casefold() == bare.casefold()}
    both = marked(plain)  # "D. chirp"
    if both and not (exact | named):
        named = {label for label, text in pairs if (label, text.strip()) == both}
    found = exact | named
    if len(found) != 1:
        refuse("names no option" if not found else f"may mean {' or '.join(sorted(found))}")
    return found.pop()
