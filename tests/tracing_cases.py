"""Sequences of both adapters and both settings, and the attention weights of the official code."""

import torch

from avflow.tracing.decoder import causal_mask

HEAR, MATCH = "mini_video__hear_0001", "mini_items__image-to-audio_0001"

CASES = ("omni clip", "omni items", "salmonn clip", "salmonn items")


def official_weights(model, run, number):
    """Attention weights (heads, S, S) of a layer as the official eager code computes them from the same input."""
    layer, length, seen = model.decoder.layers[number], run.cos.shape[1], {}
    kernel = model.decoder.config._attn_implementation
    model.decoder.config._attn_implementation = "eager"
    handle = layer.self_attn.register_forward_hook(lambda m, a, out: seen.update(weights=out[1][0]))
    try:
        mask = torch.zeros(length, length).masked_fill(~causal_mask(length), float("-inf"))
        with torch.inference_mode():
            layer(run.inputs[number][None], attention_mask=mask[None, None], position_embeddings=(run.cos, run.sin))
    finally:
        handle.remove()
        model.decoder.config._attn_implementation = kernel
    return seen["weights"]
