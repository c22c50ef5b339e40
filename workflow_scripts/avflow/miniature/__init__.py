"""The synthetic world whose answers are known, the tiny models that live in it, and their training."""

from ..exports import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "training": ["TASKS", "Trainer"],
    },
)
