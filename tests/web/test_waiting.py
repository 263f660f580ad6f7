"""A request may wait for something, not for ever, and only so many at once."""

from __future__ import annotations

import threading

import pytest
from flask import Flask

from app.web.operations import Entrance, WaitingRoom
from pausable import clock
from tests.deadlines import WAIT
from tests.web.serving import wait_for


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
    assert looked.wait(WAIT)

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


def test_no_more_requests_are_let_in_at_a_time_than_there_are_places() -> None:
    app, entrance, over = Flask("app"), Entrance(2), threading.Event()
    inside: list[int] = []
    app.before_request(entrance.enter)
    app.teardown_request(entrance.leave)

    @app.get("/")
    def stay() -> str:
        inside.append(1)
        over.wait(WAIT)
        return ""

    people = [threading.Thread(target=app.test_client().get, args=("/",)) for _ in range(5)]
    for person in people:
        person.start()
    wait_for(lambda: len(inside) == 2)
    over.set()
    for person in people:
        person.join()

    assert len(inside) == 5
