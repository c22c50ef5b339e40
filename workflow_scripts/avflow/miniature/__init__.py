"""The synthetic world whose answers are known, the tiny models that live in it, and their training."""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "training": ["TASKS", "Trainer"],
    },
)
