"""What is asked: the normalised question, the order of its prompt, and the readers that bring benchmarks into that shape.

Every reader gives `Question`s and a list of dropped ones with their reasons. Nothing here knows a model.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "question": [
            "MediaItem",
            "Option",
            "Question",
            "first_of_tasks",
            "read_questions",
            "split_for_knockout",
            "write_questions",
        ],
    },
)
