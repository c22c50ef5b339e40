"""Where the parts of a question stand, held against Eq. 3: candidates, question, reference, options, instruction.

A benchmark's wording may have words before its candidates and behind its reference: "Which bird in [img1] .. sings in [audio1]?"
It is in the order of Eq. 3 if all candidates come before words of the question, these before the reference, and the reference
before the options. Then every route of Figures 5 and 6 has something to cut.
"""

import re

from .question import Question

JOINING = re.compile(r"[\W_]*(?:(?:and|or)\b[\W_]*)?", re.IGNORECASE)  # what joins two media is no word of the question


def parts(question: Question) -> tuple[str, ...]:
    """The parts in their order, neighbours of one kind merged: candidates, reference, question, options, instruction."""
    found = []
    for segment in question.layout:
        part = segment["seg"]
        if part == "media":
            part = "reference" if question.item(segment["id"]).role == "reference" else "candidates"
        elif part == "question" and JOINING.fullmatch(segment["text"]):
            continue
        if found[-1:] != [part]:
            found.append(part)
    return tuple(found)


def in_eq3_order(question: Question) -> bool:
    """Whether candidates, words of the question, reference and options stand in this order. See the module's docstring."""
    order = parts(question)
    if not {"candidates", "reference"} <= set(order):
        return False
    last = len(order) - 1 - order[::-1].index("candidates")
    reference, end = order.index("reference"), order.index("options")
    return last < reference < end and "question" in order[last:reference]
