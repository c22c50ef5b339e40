"""The order of a prompt's parts (paper, Appendix D.3.1). `arrange` returns the same question with its parts in another order.

    default          as the question was prepared: Eq. 1 or Eq. 3
    items            original         the question as the benchmark ships it, with media where its tags are
                     reference_first  R, C_1 .. C_4, question, options
                     reference_last   C_1 .. C_4, question, options, R
                     question_first   question, C_1 .. C_4, R, options
    av_video         question_first   all text, then the clip

A prompt is built from `layout` alone, so nothing else changes. `layout_name` names the order.
"""

import re
from dataclasses import replace

from ..errors import InputError
from .question import Question

DEFAULT = "default"
ORDERS = {
    "reference_first": ("reference", "candidates", "question", "options"),
    "reference_last": ("candidates", "question", "options", "reference"),
    "question_first": ("question", "candidates", "reference", "options"),
}
VARIANTS = {"items": ("original", *ORDERS), "av_video": ("question_first",)}
NAMES = (DEFAULT, *VARIANTS["items"])  # the orders of all settings
TAG = re.compile(r"\[(audio|img|video)(\d+)\]")
KINDS = {"audio": "audio", "img": "image", "video": "video"}


def arrange(question: Question, name: str) -> Question:
    """The question with its parts in the order `name`. Raises InputError if the question's setting has no such order."""
    if name == DEFAULT:
        return question
    known = VARIANTS[question.setting]
    if name not in known:
        where = f"question {question.question_id}: layout {name!r} is unknown"
        raise InputError(f"{where} in setting {question.setting}; known: {', '.join((DEFAULT, *known))}")
    if name == "original":
        layout = _original(question)
    elif question.setting == "av_video":
        layout = sorted(question.layout, key=lambda s: s["seg"] == "media")
    else:
        blocks = _blocks(question)
        layout = [segment for block in ORDERS[name] for segment in blocks[block]]
    return replace(question, layout=tuple(layout), layout_name=name)


def _blocks(question: Question) -> dict[str, list]:
    """The layout's segments by block. Instructions before the question belong to its block, all others to the options' block."""
    blocks = {"candidates": [], "reference": [], "question": [], "options": []}
    first = next(i for i, s in enumerate(question.layout) if s["seg"] == "question")
    for i, segment in enumerate(question.layout):
        if segment["seg"] == "media":
            role = question.item(segment["id"]).role
            blocks["reference" if role == "reference" else "candidates"].append(segment)
        elif segment["seg"] == "question" or segment["seg"] == "instruction" and i < first:
            blocks["question"].append(segment)
        else:
            blocks["options"].append(segment)
    return blocks


def _original(question: Question) -> list[dict]:
    """Leading instructions, then the question as shipped with each tag replaced by its medium, then options and the rest."""
    if not TAG.search(question.question_raw):
        raise InputError(
            f"question {question.question_id}: layout original needs a question_raw with media tags, and there is none;"
            " remove original from the layouts"
        )
    named = {(m.kind, m.index): m.id for m in question.media}
    pieces = TAG.split(question.question_raw)
    layout = []
    for text, tag, number in zip(pieces[::3], [*pieces[1::3], None], [*pieces[2::3], None]):
        layout += [{"seg": "question", "text": text}] if text else []
        if tag:
            layout.append({"seg": "media", "id": named.get((KINDS[tag], int(number)), f"[{tag}{number}]")})
    blocks = _blocks(question)
    return [*(s for s in blocks["question"] if s["seg"] == "instruction"), *layout, *blocks["options"]]
