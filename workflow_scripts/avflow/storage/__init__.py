"""What is on disk: files that appear only when complete, rows that survive a kill, shards of tensors, the code behind a number.

Nothing here depends on what the bytes mean, but for the entries of a file of claims, which the workflow reads as well as the job.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "partial_rows": ["read_metadata"],
        "shard_reader": ["FeatureStore"],
        "shard_writer": ["ShardWriter", "room_for"],
        "text_lines": ["lines_of", "read_text"],
        "whole_files": ["whole"],
    },
)
