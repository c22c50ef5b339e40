"""Read the answer at the last position: the letters' logits, and the probability of the answer that the uncut model gives.

Probabilities are a softmax over the whole vocabulary, in fp32. The measure is the probability of the single answer token (paper,
section 2.1). A free answer of R tokens is read at R positions: its measure is the sum of its tokens' log-probabilities. Its first
token is read as a letter is.
"""

import math

import torch

from ..models import Sequence
from ..questions import Question

LETTERS = ("A", "B", "C", "D")  # labels with a column of their own
REPLY = ("logp_reply", "logp_reply_mean", "logp_reply_tokens")


def option_logits(sequence: Sequence, logits: torch.Tensor) -> dict[str, list]:
    """Columns logit_A .. logit_D from logits (n, V), and option_logits for questions with any other label.

    An option of A to D that the question does not have is NaN. option_logits holds the logits of all options in their order, or
    None if A to D hold all there are.
    """
    labels = [o.label for o in sequence.question.options]
    at = dict(zip(labels, sequence.letter_ids.tolist()))
    missing = [math.nan] * len(logits)
    columns = {f"logit_{letter}": logits[:, at[letter]].tolist() if letter in at else missing for letter in LETTERS}
    others = not set(labels) <= set(LETTERS)
    return {**columns, "option_logits": logits[:, sequence.letter_ids].tolist() if others else [None] * len(logits)}


def read(sequence: Sequence, logits: torch.Tensor) -> dict[str, list]:
    """The columns that `logits_of` reads: `option_logits`, or of a reply `reply`."""
    return reply(sequence, logits) if len(sequence.reply_ids) else option_logits(sequence, logits)


def logits_of(question: Question, row: dict) -> list[float]:
    """The logits of a row's options, in their order; of a free question the log-probabilities of the reply's tokens."""
    if question.free:
        return row["logp_reply_tokens"]
    if row["option_logits"] is not None:
        return row["option_logits"]
    return [row[f"logit_{option.label}"] for option in question.options]


def unknown(columns: dict) -> dict:
    """The columns of a row, with NaN for every number and for every number of a list: for a cut that does not apply."""
    nan = lambda value: [math.nan] * len(value) if isinstance(value, list) else math.nan  # noqa: E731
    return {name: nan(value) if isinstance(value, float | list) else value for name, value in columns.items()}


def answers(sequence: Sequence, logits: torch.Tensor) -> list[str]:
    """For each row of logits (n, V), the label of the option whose letter has the largest logit; None without options."""
    if not sequence.question.options:
        return [None] * len(logits)
    labels = [o.label for o in sequence.question.options]
    return [labels[i] for i in logits[:, sequence.letter_ids].argmax(-1).tolist()]


def gold_id(sequence: Sequence) -> int:
    """Token id of the right option's letter, or of the first token of a reply."""
    if len(sequence.reply_ids):
        return int(sequence.reply_ids[0])
    labels = [o.label for o in sequence.question.options]
    return int(sequence.letter_ids[labels.index(sequence.question.answer)])


def margin(sequence: Sequence, logits: torch.Tensor) -> list[float]:
    """For each row of logits (n, V), the right letter's logit minus the best other letter's; NaN without options."""
    if not sequence.question.options:
        return [math.nan] * len(logits)
    letters = logits[:, sequence.letter_ids]
    right = [o.label for o in sequence.question.options].index(sequence.question.answer)
    others = letters.clone()
    others[:, right] = -torch.inf
    return (letters[:, right] - others.amax(-1)).tolist()


def masses(sequence: Sequence, logits: torch.Tensor) -> dict[str, list]:
    """Where the probability of logits (n, V) lies, as columns.

    p_letters: on the options' letters. p_variants: on other ways to write them, such as " A" (see `models/prompt.py`). p_other:
    on everything else. says_letter: whether the most probable token is one of the letters. Without options, NaN and None.
    """
    if not sequence.question.options:
        blank = dict.fromkeys(("p_letters", "p_variants", "p_other"), [math.nan] * len(logits))
        return blank | {"says_letter": [None] * len(logits)}
    p = logits.softmax(-1)
    letters, variants = (p[:, ids].sum(-1) for ids in (sequence.letter_ids, sequence.variant_ids))
    return {
        "p_letters": letters.tolist(),
        "p_variants": variants.tolist(),
        "p_other": (1 - letters - variants).clamp(min=0).tolist(),
        "says_letter": torch.isin(logits.argmax(-1), sequence.letter_ids).tolist(),
    }


def right(sequence: Sequence, logits: torch.Tensor) -> list[bool]:
    """For each row of logits (n, V), whether the most probable token of the whole vocabulary is the right letter."""
    return (logits.argmax(-1) == gold_id(sequence)).tolist()


def reply(sequence: Sequence, logits: torch.Tensor, end: str = "") -> dict[str, list]:
    """The columns `REPLY` from logits (n, R, V): sum, mean and list of the log-probabilities of the reply's R tokens.

    All are None for a question with options, whose logits are (n, V). end: of the columns' names.
    """
    if not len(sequence.reply_ids):
        return {f"{name}{end}": [None] * len(logits) for name in REPLY}
    each = [logits[:, i].log_softmax(-1)[:, token] for i, token in enumerate(sequence.reply_ids.tolist())]
    each = torch.stack(each, 1).double()  # (n, R)
    return {f"{name}{end}": some.tolist() for name, some in zip(REPLY, (each.sum(1), each.mean(1), each))}


def says_reply(sequence: Sequence, logits: torch.Tensor) -> list[bool]:
    """For each of logits (n, R, V), whether greedy decoding gives the reply: every token is the most probable one."""
    return (logits.argmax(-1).cpu() == sequence.reply_ids).all(1).tolist()


def compare(sequence: Sequence, logits: torch.Tensor, base: torch.Tensor) -> dict[str, list]:
    """Compare cut runs `logits` (n, V) with the uncut row of the same batch `base` (n, V). Returns table columns.

    For a reply both are (n, R, V). `reply` gives the columns of all its tokens, with the ending _clean for those uncut. The other
    columns are of its first token: logp_gold is its log-probability. correct_clean: whether the uncut model gives the reply,
    which is true of the model's own. All columns that need options are NaN or None.

    base_token: the most probable token uncut. p_base_clean: its probability uncut. logp_base: its log-probability after the cut.
    logp_gold: log-probability of the right letter after the cut. margin, margin_clean: the right letter's logit minus the best
    other letter's, after the cut and uncut. kl: KL(uncut || cut) in nats. answer: the option with the largest logit after the
    cut. correct_clean: whether base_token is the right letter. logit_A .. logit_D, option_logits: logits after the cut.
    """
    count = len(sequence.reply_ids)
    whole = {"reply_tokens": [count or None] * len(logits), **reply(sequence, logits), **reply(sequence, base, "_clean")}
    if count:
        own = sequence.question.answer is None
        whole["correct_clean"] = [True] * len(base) if own else says_reply(sequence, base)
        logits, base = logits[:, 0], base[:, 0]
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
        **whole,
    }
