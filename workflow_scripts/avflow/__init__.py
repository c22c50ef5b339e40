"""Trace how sound and sight travel through audio-visual language models, by attention knockout.

This is the public API. Each name is loaded when it is first used, so that importing avflow costs next to nothing.
"""

from .exports import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "models": ["load"],
        "questions": ["MediaItem", "Option", "Question", "read_questions"],
        "tracing": ["Knockout", "Route", "Window", "naive", "sweep"],
    },
    rooms=("media",),
)
