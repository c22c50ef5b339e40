"""The reply to a free question: the answer that it brings, or else the model's own, by greedy decoding from a cache.

    answered(model, prompt, 32)    -> the prompt with its reply, and whether the reply is whole

A reply ends before the first token that ends the turn, or at a limit of tokens. Then its first tokens are what is scored.
"""

import torch

from ..errors import Unusable
from ..models import Sequence, end_ids, following, given_ids, with_reply
from .decoder import entered, last_logits, ready, rotary


class Cache:
    """Keys (after rotary embedding) and values of every layer: (1, kv heads, rows, head_dim). Layers may differ in rows."""

    def __init__(self):
        self.layers: dict[int, tuple] = {}

    def update(self, keys, values, layer, *_, **__):
        """Append new keys and values, and return all. A layer's attention calls this."""
        if layer in self.layers:
            keys, values = (torch.cat([old, new], 2) for old, new in zip(self.layers[layer], (keys, values)))
        self.layers[layer] = keys, values
        return keys, values

    def copy(self) -> "Cache":
        """A second cache that starts from the same tensors. Appending to one leaves the other unchanged."""
        found = Cache()
        found.layers = dict(self.layers)
        return found

    @property
    def bytes(self) -> int:
        return sum(x.nbytes for pair in self.layers.values() for x in pair)


@torch.inference_mode()
def decode(model, cache: Cache, token: torch.Tensor, position: int | float) -> torch.Tensor:
    """Append one token (1,) at a position id to the cache. Returns the logits (V,) fp32 of the next token."""
    x = model.decoder.get_input_embeddings()(token)[None]  # (1, 1, D)
    rotated = rotary(model, torch.full((3, 1, 1), position), x)
    for layer in model.decoder.layers:
        x = layer(x, attention_mask=None, position_embeddings=rotated, past_key_values=cache)
    return last_logits(model, x[:, -1])[0]


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
    ready(model)
    ends, position, cache, ids = end_ids(model.tokenizer), following(sequence), Cache(), []
    x, rotated = sequence.embeds[None], rotary(model, sequence.positions[:, None], sequence.embeds[None])  # (1, S, D)
    for number, layer in enumerate(model.decoder.layers):
        x = layer(x, attention_mask=None, position_embeddings=rotated, past_key_values=cache)
        x = entered(x, sequence.deepstack, number)
    token = last_logits(model, x[:, -1])[0].argmax()
    while int(token) not in ends:
        if len(ids) == most:
            return ids, False
        ids.append(int(token))
        token = decode(model, cache, token[None], position + len(ids) - 1).argmax()
    return ids, True
