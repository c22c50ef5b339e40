"""The Hugging Face hub: pinned commits and hashes, checked downloads, and media inside a benchmark's archives.

Only the rules `pin` and `download_*` use the network.
"""

from .. import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "archives": ["Shipped", "put_in_place"],
        "downloads": ["download", "size"],
        "pins": ["Pin", "change", "read_pin", "select", "write_json"],
        "repository": ["Backoff", "describe"],
    },
)
