"""Where the last token looks, layer by layer, and what each layer would answer.

Attention of the last token, the one that is read as the answer, by class of token (paper, Figure 1). The logit lens takes the
last position's state after a layer through the model's own final norm and head (nostalgebraist, "interpreting GPT: the logit
lens", 2020), as if the layers after it did nothing.
"""

import torch

from ..models import Sequence
from .decoder import CleanRun, last_logits, last_row_attention
from .token_classes import CLASSES, token_classes


@torch.inference_mode()
def attention_shares(model, sequence: Sequence, run: CleanRun) -> torch.Tensor:
    """Share of the last token's attention by layer, class and head: (L, classes, heads) fp32; sums to 1 over the classes.

    run: from `clean_run`, with at least the last row. One row a layer is computed, never a square.
    """
    last = len(sequence) - 1
    member = torch.nn.functional.one_hot(token_classes(sequence.spans), len(CLASSES)).to(run.device)  # (S, classes)
    found = []
    for number in range(len(run.inputs)):
        keys = run.keys[number].to(run.device).transpose(0, 1)[None]  # (1, kv heads, S, d)
        weights = last_row_attention(model, number, run.states(number, last), keys, run.cos, run.sin)  # (heads, S)
        found.append((weights @ member.to(weights.dtype)).T)
    return torch.stack(found).cpu()


@torch.inference_mode()
def logit_lens(model, run: CleanRun) -> torch.Tensor:
    """Logits after every layer at the last position (L, V) fp32; the last row is what the model says."""
    states = [x[-1:].to(run.device) for x in run.inputs[1:]] + [run.final[-1:]]
    return last_logits(model, torch.cat(states))


def option_log_probabilities(sequence: Sequence, logits: torch.Tensor) -> torch.Tensor:
    """Log-probability of every option's letter over the whole vocabulary, in the order of the options: (L, V) -> (L, options)."""
    return logits.log_softmax(-1)[:, sequence.letter_ids.to(logits.device)].cpu()
