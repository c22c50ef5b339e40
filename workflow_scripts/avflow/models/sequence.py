"""A question as one model reads it: the input of its decoder, and the names of its tokens."""

from dataclasses import dataclass

import torch

from ..questions import Question
from .spans import Spans


@dataclass(frozen=True)
class Sequence:
    """embeds (S, D) with media features in place, ids (S,), positions (3, S), spans over 0..S-1, letter_ids (options,).

    variant_ids (n,): other tokens that write an option's letter, see `prompt`.
    """

    question: Question
    ids: torch.Tensor
    embeds: torch.Tensor
    positions: torch.Tensor
    spans: Spans
    letter_ids: torch.Tensor
    variant_ids: torch.Tensor

    def __len__(self):
        return self.embeds.shape[0]
