"""Freed memory is kept for the next tensor, on a CPU."""

import ctypes
import subprocess
import sys

import pytest
from conftest import SCRIPTS

from avflow.models import cpu_memory

FAULTS = f"""
import resource, sys
sys.path.insert(0, {str(SCRIPTS)!r})
import torch
from avflow.models import cpu_memory
if "keep" in sys.argv: cpu_memory.keep()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for some in range(20):
    before = faults()
    a, b, c = torch.ones(3, 5_000_000).unbind(0)[0].clone(), torch.ones(5_000_000), torch.ones(5_000_000)
    del a, b, c
print(faults() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_tensors_that_come_and_go_take_no_new_pages():
    found = [
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "")
    ]
    assert found[0] < 100 < 1000 < found[1]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(cpu_memory.ctypes, "CDLL", lambda name: object())
    cpu_memory.keep()
