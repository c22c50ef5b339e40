"""The order of a prompt's parts (paper, Appendix D.3.1). `arrange` returns the same question with its parts in another order.

    default          as the question was prepared
    items            original         the benchmark's own wording, with every medium where its tag stands
                     eq3              C_1 .. C_4, question, R, options (Eq. 3)
                     reference_first  R, C_1 .. C_4, question, options
                     reference_last   C_1 .. C_4, question, options, R
                     question_first   question, C_1 .. C_4, R, options
    av_video         question_first   all text, then the clip

All orders but `original` take media out of the sentence, which then names them (see `wording`). A prompt is built from `layout`
alone, so nothing else changes. `layout_name` names the order.
"""

from dataclasses import replace

from ..errors import InputError, Unusable
from .question import MediaItem, Question
from .tags import TAG, check_tags, named
from .wording import reworded, with_repeats_named

DEFAULT = "default"
ORDERS = {
    "eq3": ("candidates", "question", "reference", "options"),
    "reference_first": ("reference", "candidates", "question", "options"),
    "reference_last": ("candidates", "question", "options", "reference"),
    "question_first": ("question", "candidates", "reference", "options"),
}
VARIANTS = {"items": ("original", *ORDERS), "av_video": ("question_first",)}
NAMES = (DEFAULT, *VARIANTS["items"])  # the orders of all settings
PREPARED = {"original": "as_shipped", "eq3": "paper_eq3"}  # the name of an order in which questions were prepared


def arrange(question: Question, name: str) -> Question:
    """The question with its parts in the order `name`; the question itself if its parts stand so already.

    Raises Unusable, with the reason, for a question that cannot be asked in this order: its sentence has no sense there, or
    `original` is asked of a question without media tags. Raises InputError if the question's setting has no such order.
    """
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
    return question if tuple(layout) == question.layout else replace(question, layout=tuple(layout), layout_name=name)


def askable(question: Question, names) -> list[str]:
    """The orders among `names` in which the question can be asked. Its own order is called `default`, and comes once."""
    found = []
    for name in names:
        try:
            own = arrange(question, name).layout_name == question.layout_name
        except Unusable:
            continue
        found.append(DEFAULT if own else name)
    return list(dict.fromkeys(found))


def obstacle(question: Question) -> str:
    """Why the media of a matching question cannot be taken out of its sentence; empty if they can."""
    try:
        arrange(question, "eq3")
    except Unusable as error:
        return str(error).removeprefix(f"question {question.question_id}: ")
    return ""


def as_shipped(text: str, media: tuple[MediaItem, ...], where: str) -> list[dict]:
    """A question with tags as segments of a layout, with every medium where its tag stands first. Further tags become names.

    Raises Unusable, which names `where`, if tags and media differ.
    """
    check_tags(text, media, where)
    pieces, known, found = TAG.split(with_repeats_named(text, media)), named(media), []
    for words, tag, number in zip(pieces[::3], [*pieces[1::3], None], [*pieces[2::3], None]):
        found += [{"seg": "question", "text": words}] if words else []
        found += [{"seg": "media", "id": known[tag, int(number)].id}] if tag else []
    return found


def sentence(text: str, media: tuple[MediaItem, ...]) -> str:
    """The text of a question with its media named; the text itself, with its tags, if it cannot be asked in another order."""
    try:
        return reworded(text, media)
    except Unusable:
        return text


def _blocks(question: Question) -> dict[str, list]:
    """The layout's segments by block. Instructions before the question belong to its block, all others to the options' block.

    A question that media divide becomes one sentence that names them. Raises Unusable if it cannot.
    """
    blocks = {"candidates": [], "reference": [], "question": [], "options": []}
    asked = [i for i, s in enumerate(question.layout) if s["seg"] == "question"]
    whole = len(asked) == 1 and not TAG.search(question.layout[asked[0]]["text"])
    for i, segment in enumerate(question.layout):
        if segment["seg"] == "media":
            role = question.item(segment["id"]).role
            blocks["reference" if role == "reference" else "candidates"].append(segment)
        elif i == asked[0]:
            blocks["question"].append(segment if whole else {"seg": "question", "text": _in_words(question)})
        elif segment["seg"] == "instruction" and i < asked[0]:
            blocks["question"].append(segment)
        elif segment["seg"] != "question":
            blocks["options"].append(segment)
    blocks["candidates"].sort(key=lambda s: question.item(s["id"]).index)
    return blocks


def _in_words(question: Question) -> str:
    """The question as one sentence without tags. Raises Unusable with the reason if there is none."""
    if not TAG.search(question.question):
        return question.question
    try:
        return reworded(question.question, question.media)
    except Unusable as error:
        raise Unusable(error.reason, f"question {question.question_id}: {error}") from None


def _original(question: Question) -> list[dict]:
    """Leading instructions, then the question as shipped with each tag replaced by its medium, then options and the rest."""
    if not TAG.search(question.question_raw):
        raise Unusable("no_tags", f"question {question.question_id}: no media tags say where its media stand in the sentence")
    first = next(i for i, s in enumerate(question.layout) if s["seg"] == "question")
    told = [s for s in question.layout[:first] if s["seg"] == "instruction"]
    rest = [s for i, s in enumerate(question.layout) if s["seg"] == "options" or s["seg"] == "instruction" and i > first]
    return [*told, *as_shipped(question.question_raw, question.media, f"question {question.question_id}"), *rest]
