"""A step is shared while that is faster, and no longer."""

from __future__ import annotations

import pytest

from compiler.machine import drive
from compiler.machine.drive import Choice


def _turns(choice: Choice, times: list[tuple[float, float]]) -> list[bool]:
    """Which calls were made alone, if steps take so many seconds (alone, together)."""
    now, found = 0.0, []
    for alone, shared in times:
        found.append(choice.is_alone(now))
        elapsed = alone if found[-1] else shared
        now += elapsed
        choice.note(found[-1], now, elapsed, 1)
    return found


def test_a_quiet_machine_shares_every_step() -> None:
    """One is tried alone; small differences and a rare long step change nothing."""
    times = [(0.002, 0.001 + 0.0002 * (k % 3)) for k in range(500)]
    times[100] = times[350] = (0.002, 0.004)
    assert sum(_turns(Choice(), times)) == 1


def test_the_first_calls_count_for_nothing() -> None:
    """They touch memory for the first time: a step alone that beats them has beaten nothing."""
    for first in (0.005, 0.05, 0.5):
        times = [(0.002, first), (0.002, first / 2)] + [(0.002, 0.001)] * 500
        assert sum(_turns(Choice(), times)) == 1


def test_one_long_call_is_not_a_busy_machine() -> None:
    """Where a processor is away once for as long as many short steps take, they are still shared."""
    for step in (0.00003, 0.001, 0.01):
        for long in (0.004, 0.02, 0.06):
            times = [(2 * step, step)] * round(2 / step)
            times[len(times) // 2] = (2 * step, long)
            assert sum(_turns(Choice(), times)) == 1


def test_a_busy_machine_does_not() -> None:
    """Where sharing takes far longer than before, steps are done alone but for a look now and then."""
    times = [(0.002, 0.001)] * 100 + [(0.004, 0.03)] * 1000
    turns = _turns(Choice(), times)
    assert sum(turns[:100]) <= 1
    assert sum(turns[100:]) > 900
    assert turns[-200:].count(False) > 0


def test_a_machine_that_is_quiet_again_shares_again() -> None:
    """A look finds that sharing is fast, and it stays."""
    times = [(0.002, 0.001)] * 100 + [(0.004, 0.03)] * 300 + [(0.002, 0.001)] * 3000
    assert not any(_turns(Choice(), times)[-500:])


def test_a_machine_that_was_never_quiet() -> None:
    """Where sharing takes longer than alone from the beginning, steps are soon done alone."""
    assert sum(_turns(Choice(), [(0.02, 0.03)] * 1000)) > 900


def test_steps_that_have_become_longer_are_still_shared() -> None:
    """Where alone is slower, too, one trial is enough."""
    times = [(0.002, 0.001)] * 100 + [(0.02, 0.01)] * 300
    assert sum(_turns(Choice(), times)) <= 5


def _alone_between(pause: float, alone: float, shared: float, steps: int = 1) -> list[bool]:
    """Which calls of so many steps were made alone, with pauses of so many seconds between them."""
    choice, now, found = Choice(), 0.0, []
    for _ in range(100):
        now += pause
        found.append(choice.is_alone(now, steps))
        elapsed = steps * (alone if found[-1] else shared)
        now += elapsed
        choice.note(found[-1], now, elapsed, steps)
    return found


def test_nobody_is_woken_for_a_short_step() -> None:
    """After a pause it is done alone, the next one soon after it is not; long ones always are shared."""
    assert all(_alone_between(0.01, 0.00006, 0.00004)[4:])
    assert not any(_alone_between(0.00005, 0.00006, 0.00004))
    assert not any(_alone_between(0.01, 0.0006, 0.0004))
    assert not any(_alone_between(0.01, 0.00006, 0.00004, steps=10))


def test_threads_without_processors_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would only take turns: however many are allowed, a step has one for each processor."""
    monkeypatch.setattr(drive, "processors", lambda: 2)
    assert [drive.useful(allowed) for allowed in (1, 2, 4)] == [1, 2, 2]
