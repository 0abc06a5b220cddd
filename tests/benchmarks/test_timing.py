from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import timing


class Clock:
    """Time that passes only while something is timed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.calls = 0.0, 0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def taking(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds
            self.calls += 1

        return call


@pytest.mark.parametrize(("takes", "calls"), [(0.125, 3), (5.0, 1)])
def test_a_sample_is_of_as_many_calls_as_fill_it(monkeypatch: pytest.MonkeyPatch, takes: float, calls: int) -> None:
    clock = Clock(monkeypatch)
    assert timing.seconds(clock.taking(takes), repeats=2, warm_up=1) == takes
    assert clock.calls == 1 + 2 * calls


def test_turns_time_each_call_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert timing.turns(clock.taking(0.25), clock.taking(4.0), rounds=3) == [0.25, 4.0]
    assert clock.calls == 2 + 3 * (2 + 1)
