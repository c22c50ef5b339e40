"""Sequences of both adapters and both settings, and the attention weights of the official code."""

import copy

import torch

from avflow.models.video_salmonn import VideoSalmonn
from avflow.tracing.decoder import causal_mask
from avflow.tracing.segments import attend

HEAR, MATCH = "mini_video__hear_0001", "mini_items__image-to-audio_0001"

CASES = ("omni clip", "omni items", "salmonn clip", "salmonn items", "qwen3 clip", "qwen3 items")


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


def one_kernel(q, k, v, of_queries, of_keys, most_queries, most_keys, scale, causal):
    """What a variable-length kernel computes, segment by segment on a CPU."""
    assert int(torch.diff(of_queries).max()) == most_queries and int(torch.diff(of_keys).max()) == most_keys
    assert of_queries.dtype == of_keys.dtype == torch.int32 and of_queries[-1] == len(q) and of_keys[-1] == len(k)
    cut = zip(*(x.split(torch.diff(some).tolist()) for x, some in ((q, of_queries), (k, of_keys), (v, of_keys))))
    found = [attend(*(x[None] for x in part), scale, causal) for part in cut]
    return [torch.cat([x[0] for x in some]) for some in zip(*found)]


def in_dtype(model, dtype):
    """A copy of a model of either family in another dtype."""
    other = copy.copy(model)
    other.model = copy.deepcopy(model.model).to(dtype)
    for norm in other.model.modules():  # one that is loaded in another dtype has the norms of transformers
        vars(norm).pop("forward", None)
    if isinstance(model, VideoSalmonn):
        other.decoder, other.head = other.model.decoder, other.model.vl.lm_head
    else:
        other.decoder, other.head = other.model.get_decoder(), other.model.lm_head
    other.dtype = dtype
    return other
