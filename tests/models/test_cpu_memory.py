"""Freed memory is kept for the next tensor, on a CPU."""

import ctypes
import subprocess
import sys

import pytest
from conftest import SCRIPTS

from avflow.models import cpu_memory

KEPT = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import torch
from avflow.models import cpu_memory
if "keep" in sys.argv: cpu_memory.keep()
def held(): return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20
tensors = [torch.ones(5_000_000) for _ in range(4)]
used = held()
del tensors
print(used - held())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_what_tensors_took_is_kept_when_they_go():
    """Four tensors of 19 MiB each: MiB that go back to the system."""
    command = [sys.executable, "-c", KEPT]
    found = [int(subprocess.run([*command, how], capture_output=True, text=True, check=True).stdout) for how in ("keep", "")]
    assert found[0] < 5 < 50 < found[1]


def test_another_c_library_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(cpu_memory.ctypes, "CDLL", lambda name: asked.append(name) or object())
    cpu_memory.keep()
    assert asked == [None]
