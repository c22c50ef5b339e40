"""What lies on disk: whole files, rows that survive a kill, shards of tensors, and the code that numbers come from.

Nothing here knows what the bytes mean.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "partial_rows": ["read_metadata"],
        "shard_reader": ["FeatureStore"],
        "shard_writer": ["ShardWriter", "room_for"],
        "whole_files": ["whole"],
    },
)
