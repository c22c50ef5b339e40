"""A question about files at hand, without a dataset: `question_about("clip.mp4", "Who speaks first?", ["Ann", "Ben"])`.

It becomes a `Question` as a line of your own questions does. One medium is a clip. Several media are a matching question: they
are the candidates, which the options name in order, and there may be a reference.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from ..errors import InputError
from ..media import MediaError, kind_of
from . import own_questions
from .names import apart, safe
from .question import Question

DATASET = "at_hand"
UNKNOWN = "answer_unknown"  # the flag of a question whose right option nobody named
CLIP = "Select the best answer to the following multiple-choice question based on the video. Respond with only the letter ({}) of"
CLIP += " the correct option."  # with ENDING the prompt of AV-SpeakerBench's own code
ENDING = "The best answer is:"
ITEMS = "Answer with the option's letter from the given choices directly."  # AV-Odyssey's
FREE = "Answer in a few words."


def question_about(media, text: str, options=(), answer: str | None = None, reference=None, instruction: str | None = None):
    """A `Question` about one file, or about several with an optional `reference` file.

    media: a path or a list of paths. What a file is (video, image or audio) is read from the file. text: may hold tags such as
    [audio1], if there are several media. options: texts; of several media one option for each, in order. Without options, the
    question is free. answer: the text or label of the right option, or the text to score; if it is left out, `trace` takes the
    model's own answer. instruction: text of the prompt instead of the benchmarks' own; "" for none.

    Raises InputError for a file that is missing or unreadable, options given twice, and texts that cannot be asked.
    """
    paths = [media] if isinstance(media, str | Path) else list(media)
    options = [options] if isinstance(options, str) else list(options)
    _check(paths, text, options)
    setting = "av_video" if len(paths) == 1 and reference is None else "items"
    entries = [{"path": str(path), "kind": _kind(path)} for path in paths]
    if reference is not None:
        entries.append({"path": str(reference), "kind": _kind(reference), "role": "reference"})
    row = {"question_id": safe(Path(paths[0]).stem) or "question", "task": "asked", "question": text, "media": entries}
    if options:
        if setting == "items" and len(options) != len(paths):
            raise InputError(
                f"{len(options)} options about {len(paths)} media: if there are several media, each option names one of them,"
                " in order; give one option for each, or none for an answer in free words"
            )
        named = [{"text": o, "candidate": f"c{i}"} if setting == "items" else {"text": o} for i, o in enumerate(options, 1)]
        row |= {"options": named, "answer": options[0] if answer is None else answer}
    elif answer is not None:
        row["answer"] = answer
    row = own_questions.checked({**row, "flags": [UNKNOWN] if options and answer is None else []}, "the question", "question")
    told = SimpleNamespace(dataset=DATASET, setting=setting, layout=None, option_format="", instruction="", ending=None)
    question = own_questions.question_of({**row, "group": "asked"}, told, DATASET)
    told.instruction, told.ending = _instruction(question, instruction)
    (question,) = apart([own_questions.question_of({**row, "group": "asked"}, told, DATASET)])
    return question


def with_own_answer(question: Question, label: str) -> Question:
    """The question with the option `label` as the right one, if nobody named the right one; else the question itself."""
    if UNKNOWN not in question.flags:
        return question
    candidate = next(o.candidate for o in question.options if o.label == label)
    return replace(question, answer=label, correct_candidate=candidate)


def _check(paths, text, options) -> None:
    if not paths:
        raise InputError("no media: name a file, or several")
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"the question is {text!r}; write what is asked")
    twice = [option for option, count in Counter(str(o).strip() for o in options).items() if count > 1]
    if twice:
        raise InputError(f"option {twice[0]!r} is given twice; give each option its own text")
    if len(options) == 1:
        raise InputError(f"{options[0]!r} is the only option; give two or more, or none for an answer in free words")


def _kind(path) -> str:
    try:
        return kind_of(path)
    except MediaError as error:
        raise InputError(str(error)) from None


def _instruction(question: Question, given: str | None) -> tuple[str, str | None]:
    """The prompt's instruction and, after a clip's options, its ending."""
    if given is not None:
        return given, None
    if question.free:
        return FREE, None
    if question.setting == "items":
        return ITEMS, None
    *others, last = [o.label for o in question.options]
    letters = f"{', '.join(others)}, or {last}" if len(others) > 1 else f"{others[0]} or {last}"
    return CLIP.format(letters), ENDING
