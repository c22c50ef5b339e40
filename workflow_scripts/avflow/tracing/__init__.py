"""Interventions on a model, and what they do to its answer.

The modules, in the order in which to read them:

    interventions, knockout, readout      what can be cut, as plain data; sweeps of cuts; the answer that results
    decoder, clean_attention, packs       the clean run; prompts that begin alike, as one
    schedule, kept_keys, row_attention, segments    what a sweep computes in which layer, and attention under cuts
    resampling, paired, strongest_heads   patch another clip's keys; pairs of clips; rank heads and cut the strongest
    sink_spans, clip_parts                cut the tokens that are sinks; times and places of a clip
    discards, sufficiency                 remove tokens; keep only the routes that were found
    generation                            the reply to a free question
    one_question                          ask and trace one question, without a workflow
    last_token, token_attention, pooled_maps, sinks, token_classes, late_layers    where attention goes
    row_schemas, shard_job, costs, timing                         table columns, resumable jobs, estimates, clocks
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "decoder": ["causal_mask", "clean_run", "last_logits", "masked_run"],
        "discards": ["Discard", "VISION"],
        "generation": ["answered"],
        "interventions": ["CONTROLS", "Knockout", "Route", "STYLES", "Window", "windows"],
        "knockout": ["naive", "sweep"],
        "one_question": ["ask", "trace"],
        "packs": ["uncut_answers", "uncut_logits"],
        "pooled_maps": ["as_range", "attention_maps", "bin_classes"],
        "token_classes": ["first_tokens"],
    },
)
