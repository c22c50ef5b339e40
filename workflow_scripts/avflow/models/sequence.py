"""A question as a model reads it: the decoder's input, and the names of its tokens."""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F

from ..questions import Question
from .spans import Spans


@dataclass(frozen=True)
class Sequence:
    """One question of S tokens for one model.

    ids (S,). embeds (S, D): with media features in place. positions (3, S): position ids, whole numbers or, in Qwen3-Omni, fp32.
    spans: names for tokens 0 .. S - 1.
    letter_ids (options,): the token of each option's letter. variant_ids (n,): other tokens that write a letter, see `prompt`.
    reply_ids (R,): the tokens of a free answer; empty for a question with options. The last R rows predict them, see `replies`.
    deepstack (levels, S, D): what is added to the states after each of the first layers (arXiv 2406.04334); zero for text. None
    stands for no level.
    """

    question: Question
    ids: torch.Tensor
    embeds: torch.Tensor
    positions: torch.Tensor
    spans: Spans
    letter_ids: torch.Tensor
    variant_ids: torch.Tensor
    reply_ids: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    deepstack: torch.Tensor | None = None

    def __post_init__(self):
        if self.deepstack is None:
            object.__setattr__(self, "deepstack", self.embeds.new_empty(0, *self.embeds.shape))

    def __len__(self):
        return self.embeds.shape[0]

    @property
    def answered_at(self) -> int:
        """The first row that predicts a token of the answer: the last row of the prompt. All later rows predict one, too."""
        return len(self) - max(1, len(self.reply_ids))

    def continued(self, embeds: torch.Tensor, position) -> "Sequence":
        """The same with further rows of text: embeds (n, D), at position ids from `position` on. They have no ids or spans."""
        further = (torch.arange(len(embeds)) + position).expand(3, -1)
        return replace(
            self,
            embeds=torch.cat([self.embeds, embeds]),
            positions=torch.cat([self.positions, further], 1),
            deepstack=F.pad(self.deepstack, (0, 0, 0, len(embeds))),
        )
