"""Interventions on a model and what they do to an answer: knockout, discards, sufficiency, attention maps, sinks, costs.

Routes, windows and knockouts are plain data; Hugging Face layers are called unmodified.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "decoder": ["causal_mask", "clean_run", "last_logits", "masked_run", "uncut_logits"],
        "discards": ["Discard", "VISION"],
        "interventions": ["CONTROLS", "Knockout", "Route", "STYLES", "Window", "windows"],
        "knockout": ["naive", "sweep"],
        "pooled_maps": ["as_range", "attention_maps", "bin_classes"],
        "token_classes": ["first_tokens"],
    },
)
