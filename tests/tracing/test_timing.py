"""Times are taken in turns, after a warm-up, and given as a median with quartiles."""

import pytest

from avflow.tracing import timing


def test_works_are_timed_in_turns_after_a_warm_up(monkeypatch):
    called, clock = [], iter(range(1000))
    monkeypatch.setattr(timing, "once", lambda work, device: work() or float(next(clock)))
    works = {name: lambda name=name: called.append(name) for name in "ab"}
    found = timing.in_turns(works, "cpu", repeats=5, warm_up=2)
    assert called == ["a", "b"] * 7
    assert found == {"a": (8, 6, 10), "b": (9, 7, 11)}, "4, 6, 8, 10, 12 and 5, 7, 9, 11, 13: the warm-up is left out"


@pytest.mark.parametrize(("device", "untimed"), [("cpu", 1), ("cuda", 3)])
def test_a_gpu_is_warmed_up_for_longer(monkeypatch, device, untimed):
    called = []
    monkeypatch.setattr(timing, "once", lambda work, _: work() or 1.0)
    timing.in_turns({"a": lambda: called.append("a")}, device, repeats=2)
    assert len(called) == untimed + 2


def test_a_call_on_the_cpu_is_measured_in_milliseconds_and_has_no_gpu_memory(monkeypatch):
    clock = iter([1.0, 1.25])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.once(lambda: None, "cpu") == pytest.approx(250)
    assert timing.peak_bytes(lambda: None, "cpu") is None
