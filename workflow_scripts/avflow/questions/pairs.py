"""Pairs of questions for resample patching: the same task, and another right answer."""

import random
from dataclasses import replace

from .names import file_of
from .question import Question


def partner(question: Question, pool: list[Question], seed: int) -> Question | None:
    """A question of the pool with the same task and kinds of media, other files and another right answer; None if there is none.

    Questions in the same words are preferred, because the right answer to a different question may not answer this one. Among
    these, questions are preferred whose right answer is one of this question's options. The seed decides between those left.
    """
    alike = [other for other in pool if _alike(question, other)]
    worded = [other for other in alike if other.question == question.question] or alike
    among = [other for other in worded if label_in(question, other)] or worded
    return random.Random(f"{seed}/{question.question_id}/partner").choice(among) if among else None


def _alike(one: Question, other: Question) -> bool:
    kinds, files = ([[getter(m) for m in q.media] for q in (one, other)] for getter in (_place, lambda m: file_of(m.media_id)))
    same = (one.setting, one.task, one.group) == (other.setting, other.task, other.group) and kinds[0] == kinds[1]
    return same and not set(files[0]) & set(files[1]) and _right(one) != _right(other)


def _place(medium) -> tuple:
    return medium.id, medium.kind, medium.role, medium.index


def _right(question: Question) -> str:
    """What the right option says; in matching questions, the candidate that it names."""
    option = next(o for o in question.options if o.label == question.answer)
    return option.candidate or option.text


def label_in(question: Question, other: Question) -> str | None:
    """The label of the option of `question` that says what is right in `other`; None if it has no such option."""
    return next((o.label for o in question.options if (o.candidate or o.text) == _right(other)), None)


def with_media_of(question: Question, other: Question) -> Question:
    """The question, asked about the other one's media. It keeps its own text, options and answer."""
    theirs = {m.id: {"media_id": m.media_id, "path": m.path} for m in other.media}
    return replace(question, media=tuple(replace(m, **theirs[m.id]) for m in question.media))
