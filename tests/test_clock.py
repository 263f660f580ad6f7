"""The one clock goes on by itself until a test sets it."""

from __future__ import annotations

import threading
import time

from pausable import clock


def test_it_tells_the_present() -> None:
    before = time.time()

    assert before <= clock.now() <= time.time()


def test_it_stands_still_in_every_thread_until_it_is_moved() -> None:
    told: list[float] = []

    with clock.frozen_at(1_000) as frozen:
        told.append(clock.now())
        frozen.advance(60)
        other = threading.Thread(target=lambda: told.append(clock.now()))
        other.start()
        other.join()

    assert told == [1_000, 1_060]
    assert clock.now() > 1_060


def test_clocks_set_within_each_other_are_put_back_one_by_one() -> None:
    with clock.frozen_at(1):
        with clock.frozen_at(2):
            assert clock.now() == 2
        assert clock.now() == 1


def test_measuring_is_not_set() -> None:
    with clock.frozen_at(0):
        assert clock.monotonic() > 0
