"""The moving part of a page, sent to whoever watches it as soon as it has changed."""

from __future__ import annotations

import re
import threading
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from app.web.console import live
from app.web.console.pages import BEAT_EVERY, Part, Parts
from app.web.stream import StreamRoom
from pausable import clock
from pausable.db.users import prefix_of, revoke_token, user_named
from tests.deadlines import WAIT
from tests.web.browsing import Visitor
from tests.web.serving import token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from pausable.db.database import Database
    from tests.web.calling import Caller
    from tests.web.serving import Served


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Bob, signed in."""
    return Visitor(app).sign_in("bob")


class Watching:
    """A stream that is open, read message by message."""

    def __init__(self, visitor: Visitor, address: str, **headers: str) -> None:
        self.answer = visitor.client.get(address, headers={"Accept": "text/event-stream", **headers})
        assert (self.answer.status_code, self.answer.mimetype) == (200, "text/event-stream")
        self._messages: Iterator[Any] = iter(self.answer.response)

    def until(self, words: str) -> str:
        """The first message that has the words; the digest that names it is its first line."""
        for message in self._messages:
            if words in (said := message.decode() if isinstance(message, bytes) else message):
                return str(said)
        raise AssertionError(f"the stream ended without {words!r}")

    def close(self) -> None:
        self.answer.close()


def test_whoever_watches_an_operation_sees_what_becomes_of_it(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    watching = Watching(visitor, f"/console{address}/stream")
    watching.until("Waiting for a worker.")

    bob.post(f"{address}/pause", {"reason": "line one\nline two"})

    message = watching.until("Paused: nothing of it runs anywhere.")
    watching.close()
    assert all(line.startswith(("id: ", "data: ")) for line in message.rstrip("\n").split("\n"))


def test_whoever_watches_the_list_sees_what_is_started_and_what_moves(visitor: Visitor, bob: Caller) -> None:
    watching = Watching(visitor, "/console/operations/stream")
    watching.until("There are no operations yet.")

    address = bob.start("three")
    watching.until(f'id="operation-{address.rpartition("/")[2]}"')
    bob.post(f"{address}/cancel")

    watching.until(f'href="/console{address}"')
    watching.close()


def test_whoever_comes_back_and_has_seen_it_is_not_sent_it_again(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    first = Watching(visitor, f"/console{address}/stream")
    seen = first.until("Waiting for a worker.").split("\n")[0].removeprefix("id: ")
    first.close()

    again = Watching(visitor, f"/console{address}/stream", **{"Last-Event-ID": seen})
    beat = again.until("event: ")
    bob.post(f"{address}/pause")

    message = again.until("Paused")
    again.close()
    assert beat == "event: beat\ndata: {}\n\n"
    assert "Paused: nothing of it runs anywhere." in message


def test_a_page_that_is_silent_for_two_to_three_beats_treats_its_connection_as_lost(
    visitor: Visitor, bob: Caller
) -> None:
    address = bob.start("three")

    found = re.search(r'id="stream" data-silence="(\d+)"', visitor.see(f"/console{address}").text)

    assert found
    assert 2 * BEAT_EVERY <= int(found[1]) / 1000 <= 3 * BEAT_EVERY


def test_the_stream_of_a_page_on_which_nothing_changes_sends_beats_and_reads_nothing_for_them(
    visitor: Visitor, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT_EVERY", 0.05)
    address = bob.start("three")
    watching = Watching(visitor, f"/console{address}/stream")
    watching.until("Waiting for a worker.")
    monkeypatch.setattr(Parts, "since", lambda *_: pytest.fail("the page was read for a beat"))

    beats = [watching.until("") for _ in range(3)]

    watching.close()
    assert beats == ["event: beat\ndata: {}\n\n"] * 3


def test_a_stream_ends_with_the_token_of_its_session(
    visitor: Visitor, ada: Caller, bob: Caller, database: Database
) -> None:
    address = bob.start("three")
    watching = Watching(visitor, f"/console{address}/stream")
    watching.until("Waiting for a worker.")
    with database.write() as tx:
        who = user_named(tx, "bob")
        assert who
        revoke_token(tx, who.id, prefix_of(token_of("bob")), clock.now())

    ada.post(f"{address}/cancel")

    with pytest.raises(AssertionError, match="the stream ended"):
        watching.until("Cancelled")


def test_a_stream_ends_when_its_session_is_signed_out_of(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    watching = Watching(visitor, f"/console{address}/stream")
    watching.until("Waiting for a worker.")
    visitor.see("/console/operations")
    visitor.post("/console/sign-out")

    bob.post(f"{address}/cancel")

    with pytest.raises(AssertionError, match="the stream ended"):
        watching.until("Cancelled")


def test_more_windows_than_a_browser_has_connections_for_ask_by_themselves(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    place = f"/console{address}/stream"
    windows = [Watching(visitor, place) for _ in range(4)]

    assert visitor.see(place, Accept="text/event-stream").status_code == 503

    windows.pop().close()
    windows.append(Watching(visitor, place))
    assert visitor.see(f"/console{address}").status_code == 200
    for window in windows:
        window.close()


def test_where_too_many_watch_the_page_is_told_to_ask_by_itself(app: Flask, visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    app.extensions["stream_room"] = StreamRoom(0)

    refused = visitor.see(f"/console{address}/stream", Accept="text/event-stream")

    assert refused.status_code == 503


def test_what_nobody_can_follow_is_refused_before_the_stream_begins(visitor: Visitor) -> None:
    refused = visitor.see("/console/operations/stream?completion=NOWHERE", Accept="text/event-stream")

    assert (refused.status_code, refused.mimetype) == (404, "text/html")


def test_a_page_is_not_sent_what_somebody_else_sees_who_signed_in_behind_it(visitor: Visitor, bob: Caller) -> None:
    bob.start("three")
    places = ("/console/operations", "/console/operations/1", "/console/workers")
    streams = [streamed_by(visitor.see(place).text) for place in places]
    assert all("who=" in stream for stream in streams)

    visitor.sign_in("ada")

    assert [visitor.see(stream, Accept="text/event-stream").status_code for stream in streams] == [401, 401, 401]


def streamed_by(page: str) -> str:
    """The address of the stream that a page follows."""
    found = re.search(r'hx-sse:connect="([^"]+)"', page)
    assert found
    return unescape(found[1])


def test_what_cannot_be_rendered_is_remembered_by_nobody() -> None:
    parts = Parts()

    for number in range(10):
        with pytest.raises(ZeroDivisionError):
            parts.since(0.0, number, lambda: 1 // 0)  # type: ignore[arg-type, return-value]

    assert not parts._rendering


def test_what_cannot_be_rendered_anew_is_not_taken_for_new() -> None:
    parts = Parts()
    parts.since(clock.monotonic(), "a page", lambda: Part.of("old", (), is_moving=False))
    later = clock.monotonic() + 1

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            parts.since(later, "a page", lambda: 1 // 0)  # type: ignore[arg-type, return-value]


def test_of_many_who_watch_the_same_one_renders_it() -> None:
    parts, rendered, gate = Parts(), [], threading.Event()

    def render() -> Part:
        gate.wait(WAIT)
        rendered.append(1)
        return Part.of("html", (), is_moving=False)

    moment = clock.monotonic()
    watchers = [threading.Thread(target=parts.since, args=(moment, "a page", render)) for _ in range(20)]
    for one in watchers:
        one.start()
    gate.set()
    for one in watchers:
        one.join()

    assert len(rendered) == 1


def test_what_was_rendered_before_a_change_serves_nobody_after_it() -> None:
    parts, rendered = Parts(), iter(["before", "after"])

    def render() -> Part:
        return Part.of(next(rendered), (), is_moving=False)

    parts.since(clock.monotonic(), "a page", render)

    assert parts.since(clock.monotonic() + 1, "a page", render) == Part.of("after", (), is_moving=False)


def test_no_line_of_a_page_begins_another_field_of_its_message() -> None:
    part = Part.of("one\r\ndata: {}\revent: end\n\nid: 9\u2028retry: 1", (), is_moving=False)

    lines = part.message.removesuffix("\n\n").split("\n")
    assert lines[0] == f"id: {part.place}"
    assert lines[1:] == ["data: one", "data: data: {}", "data: event: end", "data: ", "data: id: 9\u2028retry: 1"]


def test_whoever_watches_is_told_that_the_database_is_out_of_reach_until_it_is_back(
    visitor: Visitor, bob: Caller, served: Served, database: Database
) -> None:
    address = bob.start("three")
    served.claim(address)  # a page of what runs is renewed every two seconds
    watching = Watching(visitor, f"/console{address}/stream")
    watching.until("give-1")

    rename(database, "steps", "gone")
    watching.until("event: lost")
    rename(database, "gone", "steps")

    watching.until("give-1")


def rename(database: Database, table: str, to: str) -> None:
    with database.write() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))
