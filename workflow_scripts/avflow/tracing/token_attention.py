"""Where rows of a prompt look, token by token: their attention in a clean run, as a mean over heads and rows.

No square matrix is computed: a few rows at a time attend to all keys before them.
"""

import torch

from .decoder import CleanRun, queries

WEIGHTS = 2**26  # attention weights held at once: 256 MiB in fp32


@torch.inference_mode()
def token_attention(model, run: CleanRun, rows: torch.Tensor) -> torch.Tensor:
    """The share of attention that each token of S gets from `rows` (r,), by layer: (L, S) fp32 on the CPU. A layer sums to 1.

    run: from `clean_run`, which must keep these rows.
    """
    first, found = int(rows.min()), []
    for number, layer in enumerate(model.decoder.layers):
        states = run.states(number, first)
        keys = run.keys_and_values(number)[0].transpose(0, 1)  # (kv heads, S, d)
        heads, length = layer.self_attn.q_proj.out_features // layer.self_attn.head_dim, keys.shape[1]
        keys = keys.repeat_interleave(heads // len(keys), 0)  # (heads, S, d)
        total = torch.zeros(length, device=keys.device)
        for some in rows.split(max(1, WEIGHTS // (heads * length))):
            at = some.to(keys.device)
            q = queries(layer, states[at - first], run.cos[0, at], run.sin[0, at]).transpose(0, 1)  # (heads, some, d)
            scores = (q @ keys.transpose(1, 2)).float() * layer.self_attn.scaling
            hidden = torch.arange(length, device=keys.device) > at[:, None]  # (some, S)
            total += scores.masked_fill(hidden, -torch.inf).softmax(-1).mean(0).sum(0)
        found.append((total / len(rows)).cpu())
    return torch.stack(found)
