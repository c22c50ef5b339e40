"""What does not fit into a GPU's memory at once is done in halves; what cannot be halved any more is one clear line."""

import contextlib

import torch

from ..errors import InputError


def halving(work, items: list) -> list:
    """work(items), a list, in ever smaller halves where memory runs out. Raises OutOfMemoryError where one item is too much."""
    try:
        return work(items)
    except torch.cuda.OutOfMemoryError:
        if len(items) == 1:
            raise
    torch.cuda.empty_cache()  # out here, where the error holds no tensors any more
    middle = len(items) // 2
    return halving(work, items[:middle]) + halving(work, items[middle:])


@contextlib.contextmanager
def holding(what: str):
    """Raises InputError, naming what did not fit, in the place of torch's OutOfMemoryError."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise InputError(
            f"{what} does not fit into the GPU's memory; end what else runs on this GPU, use one with more, or set a smaller"
            " dtype, or fewer frames or pixels in its sampling (config.yaml), and run again: finished questions are kept"
        ) from None
