"""Who has stood still for a lease, by the clock of the one who looks."""

from __future__ import annotations

import pytest

from pausable import clock
from pausable.worker.recovery import Leases


class Watch:
    """One who looks at a heart, on a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1000.0
        self._leases = Leases(10)
        monkeypatch.setattr(clock, "monotonic", lambda: self._now)

    def sees(self, mark: int, *, after: float, is_beating: bool = True) -> bool:
        """Whether the heart has stood still, seen so many seconds after the last look."""
        self._now += after
        self._leases.look(is_beating=is_beating)
        return self._leases.has_stood_still("heart", mark)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_a_heart_that_shows_the_same_beat_for_a_whole_lease_stands_still(watch: Watch) -> None:
    assert [watch.sees(7, after=4) for _ in range(4)] == [False, False, False, True]


def test_a_heart_that_moves_does_not(watch: Watch) -> None:
    assert not any(watch.sees(beat, after=4) for beat in range(9))


def test_one_who_has_not_looked_for_a_lease_begins_anew(watch: Watch) -> None:
    watch.sees(7, after=4)

    assert not watch.sees(7, after=11)
    assert not watch.sees(7, after=9)
    assert watch.sees(7, after=2)


def test_one_whose_own_heart_could_not_beat_tells_by_nobodys(watch: Watch) -> None:
    for _ in range(9):
        assert not watch.sees(7, after=4, is_beating=False)

    assert [watch.sees(7, after=4) for _ in range(4)] == [False, False, True, True]


def test_what_was_not_asked_for_at_one_look_is_forgotten(watch: Watch) -> None:
    watch.sees(7, after=4)
    watch._leases.look()

    assert [watch.sees(7, after=4) for _ in range(4)] == [False, False, False, True]
