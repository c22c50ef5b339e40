"""What the last position says: the answer letters' logits, and the probability of the answer that the model gave uncut.

Probabilities are softmax over the whole vocabulary in fp32 (paper, section 2.1: the probability of the one answer token).
"""

import math

import torch

from ..errors import InputError
from ..models import Sequence

LETTERS = ("A", "B", "C", "D")


def option_logits(sequence: Sequence, logits: torch.Tensor) -> dict[str, list[float]]:
    """Columns logit_A .. logit_D of logits (n, V); NaN where a question has no such option.

    Raises InputError for an option that has no column.
    """
    for option in sequence.question.options:
        if option.label not in LETTERS:
            raise InputError(
                f"question {sequence.question.question_id}: the tables hold options {', '.join(LETTERS)} and not {option.label};"
                " drop the question"
            )
    at = {o.label: i for o, i in zip(sequence.question.options, sequence.letter_ids.tolist())}
    missing = [math.nan] * len(logits)
    return {f"logit_{letter}": logits[:, at[letter]].tolist() if letter in at else missing for letter in LETTERS}


def answers(sequence: Sequence, logits: torch.Tensor) -> list[str]:
    """The option whose letter has the largest logit, row by row."""
    labels = [o.label for o in sequence.question.options]
    return [labels[i] for i in logits[:, sequence.letter_ids].argmax(-1).tolist()]


def gold_id(sequence: Sequence) -> int:
    """Token id of the right letter."""
    labels = [o.label for o in sequence.question.options]
    return int(sequence.letter_ids[labels.index(sequence.question.answer)])


def margin(sequence: Sequence, logits: torch.Tensor) -> list[float]:
    """Logit of the right letter minus the best other letter, row by row."""
    letters = logits[:, sequence.letter_ids]
    right = [o.label for o in sequence.question.options].index(sequence.question.answer)
    others = letters.clone()
    others[:, right] = -torch.inf
    return (letters[:, right] - others.amax(-1)).tolist()


def masses(sequence: Sequence, logits: torch.Tensor) -> dict[str, list]:
    """Where the probability of logits (n, V) lies: p_letters on the options' letters, p_variants on other ways to write them

    (" A" and so on, see `prompt`), p_other on everything else. says_letter: the most probable token is one of the letters.
    """
    p = logits.softmax(-1)
    letters, variants = (p[:, ids].sum(-1) for ids in (sequence.letter_ids, sequence.variant_ids))
    return {
        "p_letters": letters.tolist(),
        "p_variants": variants.tolist(),
        "p_other": (1 - letters - variants).clamp(min=0).tolist(),
        "says_letter": torch.isin(logits.argmax(-1), sequence.letter_ids).tolist(),
    }


def right(sequence: Sequence, logits: torch.Tensor) -> list[bool]:
    """Whether the most probable token of the whole vocabulary is the right letter, row by row."""
    return (logits.argmax(-1) == gold_id(sequence)).tolist()


def compare(sequence: Sequence, logits: torch.Tensor, base: torch.Tensor) -> dict[str, list]:
    """Columns of cut runs (n, V) against the uncut row of the same batch (n, V): see interfaces, row columns.

    base_token: what the model says uncut; logp_base: its log-probability after the cut; p_base_clean: its probability uncut;
    logp_gold: log-probability of the right letter after the cut; margin, margin_clean: logit of the right letter minus the best
    other letter's, after the cut and uncut; kl: KL(uncut || cut) in nats.
    """
    cut, clean = logits.log_softmax(-1), base.log_softmax(-1)
    token = clean.argmax(-1)
    gold = gold_id(sequence)
    return {
        "base_token": token.tolist(),
        **option_logits(sequence, logits),
        "logp_base": cut.gather(1, token[:, None])[:, 0].tolist(),
        "logp_gold": cut[:, gold].tolist(),
        "p_base_clean": clean.gather(1, token[:, None])[:, 0].exp().tolist(),
        "margin": margin(sequence, logits),
        "margin_clean": margin(sequence, base),
        "kl": (clean.exp() * (clean - cut)).sum(-1).tolist(),
        "answer": answers(sequence, logits),
        "correct_clean": (token == gold).tolist(),
    }
