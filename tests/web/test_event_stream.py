"""An operation's history as a stream: what is told, in which order, from where on, and when it ends."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from app.web.auth import demand_token, is_token_valid
from app.web.stream import StreamRoom
from app.web.stream import messages as stream_messages
from pausable.db.history import Event, append_event
from pausable.db.tables import tokens
from tests.cli.test_pruning import OF_OPERATIONS
from tests.web.calling import Caller, json_of, problem, slug
from tests.web.serving import DEADLINE, token_of, wait_for

if TYPE_CHECKING:
    from flask import Flask

    from pausable.db.database import Database
    from tests.web.serving import Served

STREAM = "text/event-stream"
#: What would become of a message, or of a page, that took a text as it stands.
HOSTILE = "x\n\ndata: {}\r\revent: end\r\nid: 999\u2028id: 7\u2029</script><script>alert(1)</script>\x85\x0b"


@dataclass
class Message:
    """One message as a browser reads it (html.spec.whatwg.org, 9.2.6)."""

    name: str = "message"
    place: str | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def said(self) -> Any:
        return json.loads("\n".join(self.lines))


def messages(text: str) -> list[Message]:
    """The messages of a stream; comments and the time to wait are none."""
    found = []
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        message = Message()
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            match name:
                case "event":
                    message.name = value.strip()
                case "id":
                    message.place = value.strip()
                case "data":
                    message.lines.append(value.strip())
        if message.lines:
            found.append(message)
    return found


def streamed(caller: Caller, address: str, **headers: str) -> list[Message]:
    """What a stream tells that comes to its end."""
    answer = caller.get(f"{address}/events", Accept=STREAM, **headers)
    assert (answer.status_code, answer.mimetype) == (200, STREAM)
    return messages(answer.text)


@pytest.fixture
def ended(bob: Caller, served: Served) -> str:
    """The address of an operation that has ended."""
    place = bob.start("three")
    for _ in range(3):
        served.deliver()
    return place


def events_of(caller: Caller, address: str) -> list[Any]:
    events: list[Any] = json_of(caller.get(f"{address}/events"))["events"]
    return events


def test_a_stream_tells_the_history_then_how_the_operation_stands_then_the_end(bob: Caller, ended: str) -> None:
    *changes, status, end = streamed(bob, ended)

    assert [change.name for change in changes] == ["change"] * len(changes)
    assert [change.said for change in changes] == events_of(bob, ended)
    assert [change.place for change in changes] == [str(event["id"]) for event in events_of(bob, ended)]
    assert (status.name, status.place, status.said) == ("status", None, json_of(bob.get(f"{ended}/status")))
    assert (end.name, end.place, end.said) == ("end", None, {})


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", f"application/json, {STREAM}", f"{STREAM};q=0.5, */*"]
)
def test_json_is_what_is_given_to_whoever_does_not_prefer_a_stream(bob: Caller, ended: str, accept: str | None) -> None:
    answer = bob.get(f"{ended}/events", **({"Accept": accept} if accept else {}))

    assert answer.is_json


def test_a_stream_is_kept_by_nobody_on_its_way(bob: Caller, ended: str) -> None:
    answer = bob.get(f"{ended}/events", Accept=STREAM)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Vary"] == "Accept"
    assert answer.text.startswith("retry: 1000\n\n")


def test_whoever_lost_the_connection_goes_on_right_behind_what_they_have(bob: Caller, ended: str) -> None:
    first, second, *rest = events_of(bob, ended)

    by_header = streamed(bob, f"{ended}", Last_Event_ID=str(first["id"]))
    by_query = messages(bob.get(f"{ended}/events?after={second['id']}", Accept=STREAM).text)
    by_both = messages(bob.get(f"{ended}/events?after=0", Accept=STREAM, Last_Event_ID=str(second["id"])).text)

    assert [one.said for one in by_header if one.name == "change"] == [second, *rest]
    assert [one.said for one in by_query if one.name == "change"] == rest
    assert by_both == by_query


def test_whoever_was_told_everything_of_what_has_ended_is_told_to_ask_no_more(bob: Caller, ended: str) -> None:
    last = events_of(bob, ended)[-1]["id"]

    assert bob.get(f"{ended}/events", Accept=STREAM, Last_Event_ID=str(last)).status_code == 204


@pytest.mark.parametrize("place", ["x", "-1", "1.5", "9" * 20, "\u00b2"])
def test_a_place_that_is_none_is_refused(bob: Caller, ended: str, place: str) -> None:
    answer = bob.get(f"{ended}/events", Accept=STREAM, Last_Event_ID=place)

    assert (answer.status_code, slug(answer)) == (422, "request-invalid")
    assert problem(answer)["errors"][0]["field"] == "Last-Event-ID"


def test_the_stream_of_what_is_somebody_else_s_is_not_found(eve: Caller, ended: str) -> None:
    answer = eve.get(f"{ended}/events", Accept=STREAM)

    assert (answer.status_code, slug(answer)) == (404, "operation-not-found")


def test_no_text_of_anybody_s_begins_a_field_of_the_stream(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    bob.post(f"{place}/pause", {"reason": HOSTILE})
    bob.post(f"{place}/cancel", {"reason": HOSTILE})

    told = streamed(bob, place)

    assert [one.name for one in told] == ["change"] * len(events_of(bob, place)) + ["status", "end"]
    assert HOSTILE in [one.said["why"] for one in told if one.name == "change"]
    assert all(len(one.lines) == 1 for one in told)


def test_more_events_than_are_read_at_once_come_each_once_and_in_order(bob: Caller, ended: str, served: Served) -> None:
    number = int(ended.rpartition("/")[2])
    with served.commands.engine.database.write() as tx:
        for count in range(2345):
            append_event(tx, number, at=1.0, who="ada", new=str(count))

    changes = [one for one in streamed(bob, ended) if one.name == "change"]

    assert [one.said["new"] for one in changes][-2345:] == [str(count) for count in range(2345)]
    assert sorted(int(one.place or 0) for one in changes) == [int(one.place or 0) for one in changes]


@dataclass
class Watcher:
    """Somebody who reads a stream in a thread of their own while it is told."""

    app: Flask
    address: str
    text: str = ""
    is_over: bool = False

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        headers = {"Accept": STREAM, "Authorization": f"Bearer {token_of('bob')}"}
        with self.app.test_client().get(f"{self.address}/events", headers=headers) as answer:
            for part in answer.iter_encoded():
                self.text += part.decode()
        self.is_over = True

    def has(self, name: str, **said: Any) -> bool:
        return any(one.name == name and said.items() <= one.said.items() for one in messages(self.text))

    def join(self) -> None:
        self._thread.join(DEADLINE)
        assert self.is_over


def test_each_change_is_told_when_it_happens_and_a_pause_does_not_end_that(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    watcher = Watcher(served.app, place)
    wait_for(lambda: watcher.has("status", completion="SCHEDULED"))

    bob.post(f"{place}/pause", {"reason": "lunch"})
    wait_for(lambda: watcher.has("status", completion="PAUSED"))
    bob.post(f"{place}/resume")
    wait_for(lambda: watcher.has("status", completion="IN PROGRESS"))
    assert not watcher.has("end")
    bob.post(f"{place}/cancel")
    watcher.join()

    assert watcher.has("change", new="PAUSED")
    assert watcher.has("change", why="lunch")
    assert messages(watcher.text)[-1].name == "end"


def test_a_stream_ends_with_its_operation(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    watcher = Watcher(served.app, place)
    wait_for(lambda: watcher.has("status"))

    with served.commands.engine.database.write() as tx:
        for table in (*OF_OPERATIONS[1:], "notifications", "operations"):
            tx.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608

    watcher.join()


@pytest.fixture
def room_for_one(app: Flask) -> StreamRoom:
    room = app.extensions["stream_room"] = StreamRoom(1)
    return room


def test_whoever_finds_no_room_is_asked_to_come_again(bob: Caller, served: Served, room_for_one: StreamRoom) -> None:
    place = bob.start("three")
    watcher = Watcher(served.app, place)
    wait_for(lambda: watcher.has("status"))

    refused = bob.get(f"{place}/events", Accept=STREAM)
    bob.post(f"{place}/cancel")
    watcher.join()

    assert (refused.status_code, slug(refused)) == (503, "too-many-watchers")
    assert int(refused.headers["Retry-After"]) > 0
    assert bob.get(f"{place}/events", Accept=STREAM).status_code == 200


def test_a_request_for_the_headers_alone_takes_no_room(bob: Caller, ended: str, room_for_one: StreamRoom) -> None:
    for _ in range(2):
        assert bob.ask("HEAD", f"{ended}/events", headers={"Accept": STREAM}).status_code == 200

    assert streamed(bob, ended)


def test_a_token_that_was_revoked_opens_a_stream_no_longer() -> None:
    let_in = iter([True, False])

    told = list(stream_messages([None, None, None], lambda: next(let_in)))

    assert told == ["retry: 1000\n\n", ": beat\n\n"]


def test_a_token_that_was_revoked_is_told_no_more_of_an_operation_that_never_rests() -> None:
    let_in = iter([True, False])
    busy = [Event(number, 1, 1.0, "worker", None, None, str(number), None) for number in range(5)]

    told = list(stream_messages(busy, lambda: next(let_in), asked_every=0))

    assert [message.place for message in messages("".join(told))] == ["0"]


def test_a_token_is_looked_up_again_while_a_stream_is_open(app: Flask, database: Database) -> None:
    with app.test_request_context(headers={"Authorization": f"Bearer {token_of('bob')}"}):
        demand_token()
        is_let_in = is_token_valid()

    before = is_let_in()
    with database.write() as tx:
        tx.execute(update(tokens).values(revoked_at=1.0))

    assert (before, is_let_in()) == (True, False)
