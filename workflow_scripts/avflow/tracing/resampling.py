"""Resample patching by full forwards: rows of a route's target attend to the source's keys and values of another run.

The other run stands in the same batch. A variant runs through the same kernels as the null row, and keys of the other run take
the places of its own. So nothing is renormalised, and a patch with a run's own keys equals the null row bit for bit.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import InputError
from ..models import Sequence
from ..questions import Question
from .decoder import causal_mask, entered, last_logits, ready, rotary
from .readout import logits_of

FIRST = 2  # variants stand behind the null row and the other run


def check(sequence: Sequence, other: Sequence | None) -> None:
    """Raise InputError unless another run is given whose tokens stand in the same places."""
    question = sequence.question.question_id
    if other is None:
        raise InputError(f"question {question}: cut 'resample' needs the run of another clip")
    if len(other) != len(sequence) or not torch.equal(other.positions, sequence.positions):
        raise InputError(
            f"question {question}: this clip has {len(sequence)} tokens, and the other {len(other)}, or in other places;"
            " encode it on this one's grid and length"
        )


def scores(question: Question, label: str | None, rows: list[dict]) -> list[dict]:
    """For each row, columns of log-probabilities: of the right answer and of the one with this label, unpatched and patched.

    rows: from `knockout.rows`, so the first one is the run without a patch. Without a label, those of the other answer are NaN.
    """
    labels = [option.label for option in question.options]
    right, clean = labels.index(question.answer), rows[0]

    def of_label(row):
        logits = logits_of(question, row)
        return row["logp_gold"] + logits[labels.index(label)] - logits[right] if label else math.nan

    known = {"logp_gold_clean": clean["logp_gold"], "logp_partner_clean": of_label(clean)}
    return [{**known, "logp_partner": of_label(row)} for row in rows]


def check_edges(route, edges) -> None:
    """Raise InputError if a token would have to keep its own key and get that of the other run in its place."""
    if any(bool(torch.isin(queries, keys).any()) for queries, keys in edges.classes):
        raise InputError(f"route {route}: cut 'resample' needs a source without tokens of the target")


@dataclass(frozen=True)
class Patched:
    """Handed to a layer in place of a mask. The batch holds the null row, the other run, and the variants.

    visible: bool (S, S). patches: for each variant, [(queries (q,), keys (k,))] whose keys are the other run's, and the heads in
    which they are: bool (heads,), or None for all.
    """

    visible: torch.Tensor
    patches: list

    def attend(self, q, k, v, scale: float):
        """q (n, heads, S, d); k, v (n, kv heads, S, d) -> (n, S, heads, d)."""
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.visible, scale=scale)
        for number in range(max((len(groups) for groups, _ in self.patches), default=0)):
            here = [(i, *groups[number], heads) for i, (groups, heads) in enumerate(self.patches, FIRST) if number < len(groups)]
            mixed_k, mixed_v = k.clone(), v.clone()
            for i, _, keys, _ in here:
                mixed_k[i, :, keys], mixed_v[i, :, keys] = k[1, :, keys], v[1, :, keys]
            patched = F.scaled_dot_product_attention(q, mixed_k, mixed_v, attn_mask=self.visible, scale=scale)
            for i, queries, _, heads in here:
                of = slice(None) if heads is None else heads.nonzero()
                out[i, of, queries] = patched[i, of, queries]
        return out.transpose(1, 2)


@torch.inference_mode()
def patched_run(model, sequence: Sequence, other: Sequence, knockouts: list, edges: dict) -> torch.Tensor:
    """The last token's logits of the null row and of every knockout (1 + n, V), fp32. edges: by target."""
    ready(model)
    device, layers = sequence.embeds.device, len(model.decoder.layers)
    visible = causal_mask(len(sequence), device)
    groups = {k.target: [tuple(at.to(device) for at in group) for group in edges[k.target].classes] for k in knockouts}
    cut_heads = [torch.tensor(k.cut_heads(layers, model.decoder.config.num_attention_heads), device=device) for k in knockouts]
    pairs = list(zip(knockouts, cut_heads))
    x = torch.stack([sequence.embeds, other.embeds, *([sequence.embeds] * len(knockouts))])
    rotated = rotary(model, sequence.positions[:, None], x)
    deepstack = torch.stack([sequence.deepstack, other.deepstack, *([sequence.deepstack] * len(knockouts))], 1)
    for number, layer in enumerate(model.decoder.layers):
        patches = [(groups[k.target] if k.covers(number) else [], some[number] if k.heads else None) for k, some in pairs]
        x = entered(layer(x, attention_mask=Patched(visible, patches), position_embeddings=rotated), deepstack, number)
    return last_logits(model, torch.cat([x[:1], x[FIRST:]])[:, -1])
