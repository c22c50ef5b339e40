"""When GPU memory runs out: work on a list is repeated in halves. If one item alone does not fit, the error is one clear line."""

import contextlib

import torch

from ..errors import InputError


def halving(work, items: list) -> list:
    """work(items), a list. If memory runs out, the items are halved, again and again.

    Raises OutOfMemoryError if a single item does not fit.
    """
    try:
        return work(items)
    except torch.cuda.OutOfMemoryError:
        if len(items) == 1:
            raise
    torch.cuda.empty_cache()  # outside the except block, where the error no longer keeps tensors alive
    middle = len(items) // 2
    return halving(work, items[:middle]) + halving(work, items[middle:])


SMALLER = (
    "end other programs on this GPU, use a GPU with more memory, or set a smaller dtype, or fewer frames or pixels, in"
    " config.yaml, and run again: finished questions are kept"
)


@contextlib.contextmanager
def holding(what: str, remedy: str = SMALLER):
    """Turn torch's OutOfMemoryError into an InputError that names what did not fit."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise InputError(f"{what} does not fit into the GPU's memory; {remedy}") from None
