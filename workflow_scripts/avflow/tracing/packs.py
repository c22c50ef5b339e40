"""Prompts that begin alike go through the decoder as one: what they share is computed once.

Questions about the same clip have the same prompt up to the question, and so have variants of one question up to where they part.
A `Pack` is the shared part, followed by each prompt's own rest. Every token keeps its position ids, and sees the shared part and
its own rest, so the result is that of single prompts.
"""

from dataclasses import dataclass, replace

import torch

from ..models import Sequence, halving
from .clean_attention import CleanAttention
from .decoder import CleanRun, answer_logits, entered, last_logits, ready, rotary
from .segments import put


@dataclass(frozen=True)
class Pack:
    """Several sequences as one of N tokens.

    embeds (N, D), positions (3, N) and deepstack (levels, N, D) as in a Sequence. parts: where parts end: the shared tokens, then
    each sequence's own.
    """

    sequences: tuple[Sequence, ...]
    embeds: torch.Tensor
    positions: torch.Tensor
    deepstack: torch.Tensor
    parts: tuple[int, ...]

    @classmethod
    def of(cls, sequences: list[Sequence]) -> "Pack":
        """Pack sequences of one model. Rows that predict an answer are never shared."""
        shared = [shared_tokens(sequences[0], other) for other in sequences[1:]]
        shared = min(*shared, *(s.answered_at for s in sequences)) if shared else sequences[0].answered_at
        embeds = torch.cat([sequences[0].embeds[:shared], *(s.embeds[shared:] for s in sequences)])
        positions = torch.cat([sequences[0].positions[:, :shared], *(s.positions[:, shared:] for s in sequences)], 1)
        deepstack = torch.cat([sequences[0].deepstack[:, :shared], *(s.deepstack[:, shared:] for s in sequences)], 1)
        parts = [shared]
        for s in sequences:
            parts.append(parts[-1] + len(s) - shared)
        return cls(tuple(sequences), embeds, positions, deepstack, tuple(parts))

    def __len__(self):
        return self.parts[-1]

    @property
    def shared(self) -> int:
        return self.parts[0]

    @property
    def read(self) -> list[int]:
        """The rows that predict answers: each sequence's last row, or those of its reply."""
        stops = zip(self.sequences, self.parts[1:])
        return [row for s, stop in stops for row in range(stop - len(s) + s.answered_at, stop)]

    @property
    def answers(self) -> list[int | slice]:
        """Where each sequence's answer is among the rows `read`: its number, or for a reply a slice."""
        found, start = [], 0
        for s in self.sequences:
            stop = start + len(s) - s.answered_at
            found.append(slice(start, stop) if len(s.reply_ids) else start)
            start = stop
        return found

    def slices(self, number: int) -> tuple[slice, slice]:
        """Where a sequence's tokens are: the shared ones, then its own."""
        return slice(0, self.shared), slice(self.parts[number], self.parts[number + 1])

    def places(self, number: int, rows: torch.Tensor) -> torch.Tensor:
        """Where a sequence's tokens (n,) are in the pack (n,)."""
        return torch.where(rows < self.shared, rows, rows - self.shared + self.parts[number])

    def run(self, number: int, run: CleanRun, removed: torch.Tensor | None = None) -> CleanRun:
        """A sequence's own clean run, from that of the pack. removed: its part of the shares."""
        both = self.slices(number)
        kept = [slice(max(part.start, run.first) - run.first, max(part.stop, run.first) - run.first) for part in both]
        begins = sum(part.stop - part.start for part in both) - sum(part.stop - part.start for part in kept)
        cos, sin = (torch.cat([table[:, part] for part in both], 1) for table in (run.cos, run.sin))
        return replace(
            run,
            inputs=_Rows(run.inputs, kept),
            keys=_Rows(run.keys, both),
            values=_Rows(run.values, both),
            first=begins,
            final=torch.cat([run.final[part] for part in kept]),
            cos=cos,
            sin=sin,
            deepstack=torch.cat([run.deepstack[:, part] for part in both], 1),
            removed=removed,
        )


class _Rows:
    """Some rows of every layer's tensor, put together when a layer is asked for."""

    def __init__(self, layers, parts):
        self.layers, self.parts = layers, parts

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, layer: int) -> torch.Tensor:
        return torch.cat([self.layers[layer][part] for part in self.parts])


def shared_tokens(one: Sequence, other: Sequence) -> int:
    """How many first tokens of two sequences have the same embeddings and position ids, and the same DeepStack features."""
    size = min(len(one), len(other))
    same = (one.embeds[:size] == other.embeds[:size]).all(1) & (one.positions[:, :size] == other.positions[:, :size]).all(0).to(
        one.embeds.device
    )
    same &= (one.deepstack[:, :size] == other.deepstack[:, :size]).all(2).all(0)
    return size if bool(same.all()) else int(same.int().argmin())


def alike(sequences: list[Sequence]) -> list[list[int]]:
    """Groups of sequences that share at least half of their tokens with the first of the group, by number."""
    waiting, found = list(range(len(sequences))), []
    while waiting:
        lead = sequences[waiting[0]]
        group = [i for i in waiting if 2 * shared_tokens(lead, sequences[i]) >= max(len(lead), len(sequences[i]))]
        found.append(group)
        waiting = [i for i in waiting if i not in group]
    return found


def uncut_logits(model, sequences: list[Sequence]) -> torch.Tensor:
    """The last token's logits for each sequence without a reply, with nothing cut: (n, V) fp32."""
    return torch.stack(uncut_answers(model, sequences))


@torch.inference_mode()
def uncut_answers(model, sequences: list[Sequence]) -> list[torch.Tensor]:
    """The logits of each sequence's answer with nothing cut, fp32: (V,), or (R, V) for a reply of R tokens.

    Sequences that begin alike are packed, and others of equal length share a batch. A pack or a batch that does not fit into
    memory is halved.
    """
    ready(model)
    found, by_length = [None] * len(sequences), {}

    def packed(members):
        pack = Pack.of([sequences[i] for i in members])
        mask = CleanAttention([], pack.embeds.device, len(pack), pack.parts)
        x = _decoded(model, pack.embeds[None], pack.positions[:, None], mask, pack.deepstack)[0]
        logits = last_logits(model, x[put(torch.tensor(pack.read), x.device)])
        return [logits[at] for at in pack.answers]

    def batch(members):
        x = torch.stack([sequences[i].embeds for i in members])
        positions = torch.stack([sequences[i].positions for i in members], 1)
        deepstack = torch.stack([sequences[i].deepstack for i in members], 1)  # (levels, n, S, D)
        return list(answer_logits(model, sequences[members[0]], _decoded(model, x, positions, None, deepstack)))

    groups = alike(sequences)
    for members in groups:
        if len(members) == 1:
            one = sequences[members[0]]
            by_length.setdefault((len(one), len(one.reply_ids)), []).append(members[0])
    for work, members in [(packed, some) for some in groups if len(some) > 1] + [(batch, some) for some in by_length.values()]:
        for i, logits in zip(members, halving(work, members)):
            found[i] = logits
    return found


def _decoded(model, x, positions, mask, deepstack) -> torch.Tensor:
    """The states (n, S, D) after all layers."""
    rotated = rotary(model, positions, x)
    for number, layer in enumerate(model.decoder.layers):
        x = entered(layer(x, attention_mask=mask, position_embeddings=rotated), deepstack, number)
    return x
