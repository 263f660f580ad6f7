"""A request may wait for something, not for ever, and only so many at once."""

from __future__ import annotations

import threading

import pytest

from app import clock
from app.web.waiting import WaitingRoom


def test_a_wait_ends_when_it_is_over() -> None:
    answers = iter([False, False, True])

    WaitingRoom(1).wait_until(lambda: next(answers), 60)

    assert next(answers, "none left") == "none left"


def test_a_wait_ends_when_the_time_has_passed() -> None:
    begun = clock.monotonic()

    WaitingRoom(1).wait_until(lambda: False, 0.02)

    assert clock.monotonic() - begun >= 0.02


def test_who_finds_no_place_does_not_wait() -> None:
    room, looked, over = WaitingRoom(1), threading.Event(), threading.Event()

    def look() -> bool:
        looked.set()
        return over.is_set()

    first = threading.Thread(target=room.wait_until, args=(look, 60))
    first.start()
    looked.wait()

    room.wait_until(over.is_set, 60)

    assert first.is_alive()
    over.set()
    first.join()


def test_a_place_is_free_again_after_a_wait_that_failed() -> None:
    room = WaitingRoom(1)

    def fail() -> bool:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            room.wait_until(fail, 60)
