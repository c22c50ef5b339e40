"""Answers in free words, as further tokens of the sequence.

    [.. question ; tail] -> last ; reply_token_0 ; reply_token_1 ..

The reply is teacher-forced: the row of `last` predicts its first token, and the row of each token predicts the next one. Nothing
reads the reply's last token, so it is predicted but is no row. A reply of one token adds no row at all: it is the case of a
letter. Position ids go on as in generation, one after the largest in the prompt.
"""

from dataclasses import replace

import torch

from ..errors import Unusable
from .prompt import TAIL
from .sequence import Sequence

END = TAIL.partition("\n")[0]  # ends every turn


def given_ids(question, tokenizer) -> list[int]:
    """Token ids of a question's own answer. Raises Unusable for an answer of no token, and for one with a special token."""
    ids = tokenizer(question.answer, add_special_tokens=False)["input_ids"]
    where = f"question {question.question_id}: its answer {question.answer!r}"
    if not ids:
        raise Unusable("empty_answer", f"{where} has no token in this model; write it in other words")
    special = set(tokenizer.get_added_vocab().values())
    if found := [tokenizer.convert_ids_to_tokens(i) for i in ids if i in special]:
        raise Unusable("special_tokens", f"{where} holds {found[0]}, a special token of this model; write it in other words")
    return ids


def end_ids(tokenizer) -> set[int]:
    """Ids of the tokens that end a reply: the end of the turn, and of the text."""
    return {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids([END, "<|endoftext|>"])} - {None}


def following(sequence: Sequence) -> int | float:
    """The position id of the first generated token: one after the largest in the prompt, as in the official code."""
    return sequence.positions.max().item() + 1


@torch.inference_mode()
def with_reply(model, sequence: Sequence, ids: list[int]) -> Sequence:
    """The prompt of a free question with a reply of R >= 1 tokens: S + R - 1 rows. ids: from `given_ids` or a generation.

    Raises Unusable if they are more tokens than the model takes.
    """
    rows, first = len(ids) - 1, following(sequence)
    most = model.max_tokens or model.decoder.config.max_position_embeddings
    if len(sequence) + rows > most:
        what = f"question {sequence.question.question_id}: prompt and reply have {len(sequence) + rows} tokens"
        raise Unusable("too_many_tokens", f"{what}, more than the {most} of this model; leave the clip out with max_seconds")
    reply = torch.tensor(ids, dtype=torch.int64)
    embeds = model.decoder.get_input_embeddings()(reply[:rows].to(sequence.embeds.device))
    return replace(
        sequence.continued(embeds, first),
        ids=torch.cat([sequence.ids, reply[:rows]]),
        spans=sequence.spans.followed_by(rows),
        reply_ids=reply,
    )
