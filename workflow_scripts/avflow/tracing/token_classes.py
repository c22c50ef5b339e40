"""Classes of tokens for figures of attention: system, video, audio, question, .. (the paper's categories of Figure 1, finer).

The paper's "user instruction" is split into `question` and `options` here. Its "generated" token is `last`: attention from the
last token to itself.
"""

import torch

from ..models import Spans

CLASSES = ("system", "delimiter", "video", "audio", "candidates", "reference", "question", "options", "last")
QUESTION = ("instruction", "question_text", "tail")


def class_of(atom: str) -> str:
    """The class of an atom."""
    if atom in QUESTION:
        return "question"
    prefix = atom.rsplit("_", 1)[0]
    return {"option": "options", "candidate": "candidates"}.get(prefix, atom)


def token_classes(spans: Spans) -> torch.Tensor:
    """Index into CLASSES for every token: (S,) int64."""
    found = torch.empty(spans.length, dtype=torch.int64)
    for atom, at in spans.atoms.items():
        found[at] = CLASSES.index(class_of(atom))
    return found


def first_tokens(spans: Spans) -> torch.Tensor:
    """True for the first token of each frame, audio segment and candidate, and of the reference: bool (S,)."""
    parts = [*spans.group("frame"), *spans.group("audio_segment"), *spans.group("candidate")]
    parts += [spans.atoms["reference"]] if "reference" in spans.atoms else []
    found = torch.zeros(spans.length, dtype=torch.bool)
    found[[int(part[0]) for part in parts if len(part)]] = True
    return found
