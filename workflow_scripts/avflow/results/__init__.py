"""Turn rows into numbers: effects, intervals, claims, Tables 1 to 4, and the paper's published numbers.

Nothing here draws.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "attention": ["rows_of"],
        "discard_effects": ["kinds_of"],
        "effects": ["Effects", "Reading", "relative_change"],
        "explorer_data": ["Block", "curves_of", "subsets"],
        "reliance": ["SENSES"],
        "statistics": [
            "Clustered",
            "cluster_bootstrap",
            "non_inferior",
            "paired_change",
            "paired_score_interval",
            "proportion",
            "simultaneous_band",
        ],
        "task_groups": ["ordered", "rank", "title"],
    },
)
