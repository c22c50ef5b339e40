"""Groups of tasks: their names in figures and their order."""

import pandas as pd

TITLES = {
    "hear": "Hear",
    "see": "See",
    "while-hear": "While hearing",
    "while-see": "While seeing",
    "visual_recognition": "Visual Recognition",
    "speech_attributes": "Speech Attributes",
    "speech_recognition": "Speech Recognition",
    "speaker_recognition": "Speaker Recognition",
    "speaker_detection": "Speaker Detection",
    "I2A": r"I Ref $\rightarrow$ A Cand",
    "A2I": r"A Ref $\rightarrow$ I Cand",
}


def title(group: str) -> str:
    """A task group's name as a panel's title."""
    return TITLES.get(group, group.replace("_", " ").capitalize())


def rank(group: str) -> int:
    """A group's place among those that have a title; behind them for the others."""
    return list(TITLES).index(group) if group in TITLES else len(TITLES)


def ordered(groups) -> list[str]:
    """The groups that occur, those with a title first and in its order."""
    found = list(pd.unique(groups))
    return [g for g in TITLES if g in found] + sorted(g for g in found if g not in TITLES)
