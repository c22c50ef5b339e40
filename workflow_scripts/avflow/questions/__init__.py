"""What is asked: the common question format, the order of a prompt's parts, and one reader per benchmark.

Every reader returns `Question`s, and a list of dropped questions with the reason for each. Nothing here depends on a model.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "from_files": ["question_about"],
        "question": [
            "MediaItem",
            "Option",
            "Question",
            "first_of_tasks",
            "read_questions",
            "split_for_knockout",
            "to_json",
            "write_questions",
        ],
    },
)
