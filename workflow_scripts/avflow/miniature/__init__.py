"""The synthetic world, whose answers are known by construction, and the tiny models with their training."""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "templates": ["TASKS"],
        "training": ["Trainer"],
    },
)
