"""Spans: named groups of a sequence's tokens. Every token belongs to exactly one atom; parts and unions build on atoms.

Atoms: system, delimiter, video, audio, candidate_1.., reference, instruction, question_text, option_A.., tail, last, reply.
Parts: frame_0.. inside video, audio_segment_0.. inside audio, option_A.letter.. inside the option, reply_token_0.. inside reply.
`last` is the last token of the prompt. `reply` are the tokens of a free answer that the model reads: all but the last one.
Unions: `question` and others from the configuration; options and candidates; and, resolved for each question, correct_option,
incorrect_options, correct_candidate and incorrect_candidates.

A span that other questions have, and this one lacks, has no tokens. A route from or to it is then not applicable.
If a token belonged to no span, it would stay open in every knockout, and information could bypass the cut.
"""

import copy
import re

import torch

from ..errors import InputError
from ..questions.option_labels import LABELS

OPTION = re.compile(r"option_[A-Za-z0-9]+")
CANDIDATE = re.compile(r"candidate_\d+")
ATOM = re.compile(
    r"system|delimiter|video|audio|candidate_\d+|reference|instruction|question_text|option_[A-Za-z0-9]+|tail|last|reply"
)
PART = re.compile(rf"frame_\d+|audio_segment_\d+|audio_padding|option_(?:{'|'.join(LABELS)})\.letter|reply_token_\d+")
ALIASES = ("correct_option", "incorrect_options", "correct_candidate", "incorrect_candidates")


def can_be(name: str) -> bool:
    """Whether some question has a span of this name, apart from unions of the configuration."""
    if OPTION.fullmatch(name):
        return name.removeprefix("option_") in LABELS
    return bool(ATOM.fullmatch(name) or PART.fullmatch(name)) or name in ALIASES


class Spans:
    """Maps a span's name to its token indices (n,) int64, sorted, in a sequence of `length` tokens."""

    def __init__(self, labels, parts=None, unions=None, aliases=None):
        """labels: the atom of every token, in order. parts: name -> indices. unions: name -> names of atoms or other unions.

        aliases: name -> names of atoms, resolved for this question (correct_option and so on). Raises InputError for a token
        without an atom, and for a union of something that is not a span.
        """
        self.length = len(labels)
        self.atoms = {}
        for index, label in enumerate(labels):
            if not label:
                raise InputError(f"token {index} belongs to no span; every token needs exactly one atom")
            self.atoms.setdefault(label, []).append(index)
        self.atoms = {name: torch.tensor(indices) for name, indices in self.atoms.items()}
        self.parts = {name: torch.as_tensor(indices) for name, indices in (parts or {}).items()}
        self.unions = {
            "options": [a for a in self.atoms if OPTION.fullmatch(a)],
            "candidates": [a for a in self.atoms if CANDIDATE.fullmatch(a)],
            **(aliases or {}),
        }
        for name, members in (unions or {}).items():
            for member in members:
                if member not in self.unions and not ATOM.fullmatch(member):
                    raise InputError(
                        f"spans: {name} names {member!r}, which is not a span; a union is made of system, delimiter, video,"
                        f" audio, candidate_1.., reference, instruction, question_text, option_A.., tail, last, reply,"
                        f" {', '.join(self.unions)}"
                    )
            self.unions[name] = [a for m in members for a in self.unions.get(m, [m])]

    def __getitem__(self, name: str) -> torch.Tensor:
        if name in self.atoms:
            return self.atoms[name]
        if name in self.parts:
            return self.parts[name]
        if name in self.unions:
            found = [self.atoms[a] for a in self.unions[name] if a in self.atoms]
            return torch.cat(found).sort().values if found else torch.empty(0, dtype=torch.int64)
        if can_be(name):  # such as the sound of a silent clip, a missing reference, or an option that other questions have
            return torch.empty(0, dtype=torch.int64)
        raise InputError(f"span {name!r} does not exist; this sequence has {', '.join(self.names())}")

    def __contains__(self, name):
        return name in self.atoms or name in self.parts or name in self.unions

    def followed_by(self, count: int) -> "Spans":
        """The same spans, followed by `count` tokens of a reply."""
        found = copy.copy(self)
        found.length = self.length + count
        at = torch.arange(self.length, found.length)
        found.atoms = {**self.atoms, **({"reply": at} if count else {})}
        found.parts = {**self.parts, **{f"reply_token_{i}": at[i : i + 1] for i in range(count)}}
        return found

    def with_parts(self, parts: dict) -> "Spans":
        """The same spans, and more parts: name -> indices."""
        found = copy.copy(self)
        found.parts = {**self.parts, **parts}
        return found

    def names(self) -> list[str]:
        return [*self.atoms, *self.unions, *self.parts]

    def group(self, across: str) -> list[torch.Tensor]:
        """The parts of a within-modality route, in order. across: "frame", "audio_segment" or "candidate"."""
        pattern = re.compile(rf"{re.escape(across)}_\d+")
        pool = self.parts if across in ("frame", "audio_segment") else self.atoms
        names = sorted((n for n in pool if pattern.fullmatch(n)), key=lambda n: int(n.rsplit("_", 1)[1]))
        return [pool[n] for n in names]
