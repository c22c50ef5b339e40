"""Keep freed memory for the next tensor, on a CPU.

The C library returns large blocks to the system as soon as they are freed, and the system clears each page again when the next
tensor takes it. A sweep frees tensors of some megabytes all the time, and a tenth of its time went into clearing pages.
"""

import ctypes

LARGEST = 32 * 2**20  # bytes of a block that may be kept; the C library accepts no more
KEPT = 256 * 2**20  # bytes of free memory that are kept at the end of the heap
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as in malloc.h


def keep() -> None:
    """Keep freed memory from now on. Without effect where the C library is not glibc."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, KEPT)
