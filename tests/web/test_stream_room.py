"""Who is let in to follow operations, and who finds no room."""

from __future__ import annotations

import pytest

from app.web.stream import StreamRoom
from pausable.errors import TooManyWatchers


def test_who_has_many_streams_keeps_nobody_out_who_has_few() -> None:
    room, bob, eve = StreamRoom(6, kept=3), 1, 2
    leave = [room.enter(bob) for _ in range(6)]
    with pytest.raises(TooManyWatchers):
        room.enter(bob)

    room.enter(eve)
    room.enter(eve)
    leave.pop()()
    room.enter(eve)
    room.enter(eve)

    for person in (bob, eve):
        with pytest.raises(TooManyWatchers):
            room.enter(person)


@pytest.mark.parametrize(("threads", "streams"), [(296, 200 + 32), (96, 48), (1, 0)])
def test_streams_leave_a_server_threads_for_all_else(threads: int, streams: int) -> None:
    room = StreamRoom(200, kept=32)

    room.fit(threads)

    for person in range(streams):
        room.enter(person)
    with pytest.raises(TooManyWatchers):
        room.enter(streams)


def test_windows_that_were_closed_count_no_longer_for_their_session() -> None:
    room, closed = StreamRoom(20), [False] * 5
    for number in range(4):
        room.enter(1, "a session", lambda number=number: closed[number])  # type: ignore[misc]
    with pytest.raises(TooManyWatchers):
        room.enter(1, "a session")
    room.enter(1, "another session")

    closed[0] = True

    leave = room.enter(1, "a session")
    with pytest.raises(TooManyWatchers):
        room.enter(1, "a session")
    leave()
    room.enter(1, "a session")
