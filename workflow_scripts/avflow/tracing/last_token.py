"""Where the last token looks, layer by layer, and what the model would answer after each layer.

The last token is the one whose logits give the answer. Its attention is summed by class of token (paper, Figure 1). The logit
lens applies the model's own final norm and head to the last position's state after a layer, as if later layers did nothing
(nostalgebraist, "interpreting GPT: the logit lens", 2020).
"""

import torch

from ..models import Sequence
from .decoder import CleanRun, last_logits, last_row_attention
from .token_classes import CLASSES, token_classes


@torch.inference_mode()
def attention_shares(model, sequence: Sequence, run: CleanRun) -> torch.Tensor:
    """Share of the last token's attention by layer, class and head: (L, classes, heads) fp32. Classes sum to 1.

    run: from `clean_run`, which must keep at least the last row. Only one row per layer is computed, no square matrix.
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
    """Logits at the last position after every layer: (L, V) fp32. The last row holds the model's real logits."""
    states = [x[-1:].to(run.device) for x in run.inputs[1:]] + [run.final[-1:]]
    return last_logits(model, torch.cat(states))


def option_log_probabilities(sequence: Sequence, logits: torch.Tensor) -> torch.Tensor:
    """Log-probability of each option's letter over the whole vocabulary, in the options' order: (L, V) -> (L, options)."""
    return logits.log_softmax(-1)[:, sequence.letter_ids.to(logits.device)].cpu()
