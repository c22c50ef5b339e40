"""How long something takes, measured alike everywhere: warmed up, repeated, in turns, by CUDA events on a GPU.

What is compared is timed in turns, one repeat of each after another, so that a machine that grows slower is slower for all.
"""

import time

import numpy as np
import torch

WARM_UP, REPEATS = 3, 20


def once(work, device) -> float:
    """Milliseconds of one call."""
    if torch.device(device).type != "cuda":
        began = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - began)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def in_turns(works: dict, device, repeats: int = REPEATS, warm_up: int = WARM_UP) -> dict:
    """name -> (median, first quartile, third quartile) in milliseconds, of `works`: name -> what to call."""
    found = {name: [] for name in works}
    for turn in range(warm_up + repeats):
        for name, work in works.items():
            milliseconds = once(work, device)
            if turn >= warm_up:
                found[name].append(milliseconds)
    return {name: tuple(float(q) for q in np.percentile(times, [50, 25, 75])) for name, times in found.items()}


def peak_bytes(work, device) -> int | None:
    """The most memory that a call holds besides what is held before it, as torch's allocator counts; None without a GPU."""
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
