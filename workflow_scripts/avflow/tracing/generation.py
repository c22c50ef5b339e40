"""The reply to a free question: the answer that it brings, or else the model's own, by greedy decoding.

    answered(model, prompt, 32)    -> the prompt with its reply, and whether the reply is whole

A reply ends before the first token that ends the turn, or at a limit of tokens. Then its first tokens are what is scored.
"""

import torch

from ..errors import Unusable
from ..models import Sequence, end_ids, following, given_ids, with_reply
from .discards import decode, prefill


def answered(model, sequence: Sequence, most: int) -> tuple[Sequence, bool]:
    """The prompt of a free question with its reply, and whether the reply is whole. most: tokens to generate.

    An answer that the question brings is always whole. Raises Unusable as empty_answer or empty_reply for a reply of no token,
    and as `with_reply` does.
    """
    given = sequence.question.answer is not None
    ids, ended = (given_ids(sequence.question, model.tokenizer), True) if given else greedy(model, sequence, most)
    if not ids:
        what = f"question {sequence.question.question_id}: the model ends its turn without a reply"
        raise Unusable("empty_reply", f"{what}; give the question an answer to score, or ask it in other words")
    return with_reply(model, sequence, ids), ended


@torch.inference_mode()
def greedy(model, sequence: Sequence, most: int) -> tuple[list[int], bool]:
    """The ids of at most `most` tokens of greedy decoding after a prompt, and whether the next one would end the turn."""
    ends, position, state, ids = end_ids(model.tokenizer), following(sequence), prefill(model, sequence, {}), []
    token = state.logits.argmax()
    while int(token) not in ends:
        if len(ids) == most:
            return ids, False
        ids.append(int(token))
        token = decode(model, state.cache, token[None], position + len(ids) - 1).argmax()
    return ids, True
