"""How long something takes, measured the same way everywhere: after a warm-up, repeated, and by CUDA events on a GPU.

Things to compare are timed in turns: one repeat of each, then the next. A machine that slows down then slows all of them alike.
"""

import time

import numpy as np
import torch

WARM_UP, REPEATS = {"cuda": 3, "cpu": 1}, 20  # untimed runs: a GPU first loads kernels and raises its clocks


def once(work, device) -> float:
    """Milliseconds that one call of `work` takes."""
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


def in_turns(works: dict, device, repeats: int = REPEATS, warm_up: int | None = None) -> dict:
    """Time calls in turns. works: name -> call. Returns name -> (median, first and third quartile) in milliseconds.

    warm_up: untimed calls before; None: as many as the device needs.
    """
    found, warm_up = {name: [] for name in works}, WARM_UP[torch.device(device).type] if warm_up is None else warm_up
    for turn in range(warm_up + repeats):
        for name, work in works.items():
            milliseconds = once(work, device)
            if turn >= warm_up:
                found[name].append(milliseconds)
    return {name: tuple(float(q) for q in np.percentile(times, [50, 25, 75])) for name, times in found.items()}


def peak_bytes(work, device) -> int | None:
    """Peak GPU memory that a call adds to what was held before it, by torch's allocator, in bytes. None on a CPU."""
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
