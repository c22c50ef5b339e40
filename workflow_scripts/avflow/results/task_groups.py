"""Groups of tasks: their titles in figures, and their order."""

TITLES = {
    "hear": "Hear",
    "see": "See",
    "while-hear": "While hearing",
    "while-see": "While seeing",
    "hear-before": "Heard before",
    "see-before": "Seen before",
    "hear-faint-45": "Hear, faint sound",
    "see-faint-63": "See, faint shape",
    "visual_recognition": "Visual Recognition",
    "speech_attributes": "Speech Attributes",
    "speech_recognition": "Speech Recognition",
    "speaker_recognition": "Speaker Recognition",
    "speaker_detection": "Speaker Detection",
    "I2A": r"I Ref $\rightarrow$ A Cand",
    "A2I": r"A Ref $\rightarrow$ I Cand",
    "by-aspect": "By aspect",
    "stated": "Stated",
    "named": "Named",
    "repeated": "Repeated",
    "image-to-audio-faint-56": "I to A, faint",
}


def title(group: str) -> str:
    """A group's title above a panel. A dollar sign stays one: matplotlib would read mathtext between two of them."""
    return TITLES.get(group, group.replace("_", " ").capitalize().replace("$", r"\$"))


def rank(group: str) -> int:
    """A group's place in the order of TITLES. Other groups come after them."""
    return list(TITLES).index(group) if group in TITLES else len(TITLES)


def ordered(groups) -> list[str]:
    """The groups that occur: first those in TITLES, in its order, then the others by name."""
    found = list(dict.fromkeys(groups))
    return [g for g in TITLES if g in found] + sorted(g for g in found if g not in TITLES)
