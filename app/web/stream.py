"""What happens to an operation as server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from flask import Response, current_app, request
from pydantic import Field

from pausable import clock
from pausable.db.history import Event
from pausable.errors import TooManyWatchers
from pausable.model.states import ENDED
from pausable.service.feed import Feed, follow
from pausable.service.operations import View

from . import answers
from .auth import commands, is_token_valid, requester
from .schemas import Asked, Place

MEDIA_TYPE: Final = "text/event-stream"
#: Streams that one web process holds open, each with a thread of its own, beside those that answer everything else.
PLACES: Final = 200
#: Streams beside those, for people who have fewer than so many.
KEPT: Final = 32
_FEW: Final = 4
#: Streams of one session of the console. A browser opens six connections to a server that speaks HTTP/1.1: the pages in
#: more windows than these ask again and again instead, or their streams would keep the browser from asking anything.
_OF_A_SESSION: Final = 4
#: Threads of a web server that answer all else.
_ANSWERING: Final = 64
#: Milliseconds after which a browser that lost the connection asks again.
RETRY: Final = "retry: 1000\n\n"
#: Seconds after which somebody to whom something is told all the time is asked again who they are.
ASKED_EVERY: Final = 10.0
#: A comment: it says nothing, and fails where nobody is there any more.
BEAT_MESSAGE: Final = ": beat\n\n"
#: The same for scripts, which hear no comment: they know by it that the connection lives.
BEAT_EVENT: Final = "event: beat\ndata: {}\n\n"
#: For scripts: what is shown is the last that could be read, for the database is out of reach.
LOST_EVENT: Final = "event: lost\ndata: {}\n\n"
# An event without data is not told (the same, 9.2.6).
_END: Final = "event: end\ndata: {}\n\n"
#: What keeps a stream from being kept, or held back.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}


IsGone = Callable[[], bool]


class StreamHeader(Asked):
    """The headers of a request that follows an operation."""

    last_event_id: Place = Field(
        None, alias="Last-Event-ID", description="Of a stream: go on behind this event, whatever `after` says."
    )


class StreamRoom:
    """Room for so many streams at once, and beside them some for people who have few: nobody keeps all others out."""

    def __init__(self, places: int, kept: int = 0) -> None:
        self._places = places
        self._kept = kept
        self._held: Counter[int] = Counter()
        self._of_sessions: dict[str, list[IsGone]] = {}
        self._lock = threading.Lock()

    def fit(self, threads: int) -> None:
        """Hold no more than leave a server of so many threads enough of them for all else: 64, or half of them."""
        room = threads - max(1, min(_ANSWERING, threads // 2))
        self._kept = min(self._kept, room * self._kept // (self._places + self._kept))
        self._places = min(self._places, room - self._kept)

    def enter(self, user_id: int, session: str | None = None, is_gone: IsGone = lambda: False) -> Callable[[], None]:
        """Take a place for a person, in a session of the console or in none; what is returned gives it back.

        `is_gone` tells whether the client has gone: such a stream ends when it is next written to, and counts no longer
        for its session. Raises TooManyWatchers.
        """
        with self._lock:
            open_to_them = self._places + (self._kept if self._held[user_id] < _FEW else 0)
            theirs = self._of_sessions.get(session or "", [])
            if self._held.total() >= open_to_them or sum(not gone() for gone in theirs) >= _OF_A_SESSION:
                raise TooManyWatchers
            self._held[user_id] += 1
            if session:
                self._of_sessions.setdefault(session, []).append(is_gone)
        return lambda: self._leave(user_id, session, is_gone)

    def _leave(self, user_id: int, session: str | None, is_gone: IsGone) -> None:
        with self._lock:
            self._held -= Counter([user_id])
            if session:
                self._of_sessions[session].remove(is_gone)
                if not self._of_sessions[session]:
                    del self._of_sessions[session]


def _leaver() -> IsGone:
    """What tells whether the client of this request has closed its connection, where the web server lets one look."""
    connection = request.environ.get("gunicorn.socket")

    def is_gone() -> bool:
        if connection is None:
            return False
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
            return bool(poll.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):  # reset, or closed by now
            return True

    return is_gone


def prefers_stream() -> bool:
    """Whether the request would rather have a stream than JSON."""
    return request.accept_mimetypes.best_match(["application/json", MEDIA_TYPE]) == MEDIA_TYPE


def stream(operation_id: int, after: int | None) -> Response:
    """What happens to an operation behind the event `after`, while it happens; 204 where nothing will any more.

    Raises OperationNotFound, TooManyWatchers.
    """
    who, known = requester(), commands()
    view = known.show(who, operation_id)
    if after is not None and _is_over(view) and not known.events(who, operation_id, after=after, limit=1):
        return current_app.response_class(status=204, headers={"Cache-Control": "no-store", "Vary": "Accept"})
    feed = cast("Feed", current_app.extensions["feed"])
    told, is_let_in = follow(known, feed, who, operation_id, after or 0), is_token_valid()
    return streamed(messages(told, lambda: feed.read(is_let_in)), told.close)


def streamed(body: Iterator[str], close: Callable[[], None] = lambda: None, *, session: str | None = None) -> Response:
    """A stream as an answer, which takes a place until it is closed; `close` is called before. Raises TooManyWatchers.

    `session` names the session of the console whose page it is for.

    Of what is only asked for its head nothing is begun: nothing would be read of it, and so nothing closed.
    """
    if request.method == "HEAD":
        return current_app.response_class(headers=_HEADERS, mimetype=MEDIA_TYPE)
    leave = cast("StreamRoom", current_app.extensions["stream_room"]).enter(requester().id, session, _leaver())
    answer = current_app.response_class(body, headers=_HEADERS, mimetype=MEDIA_TYPE)
    answer.call_on_close(close)
    answer.call_on_close(leave)
    return answer


def messages(
    told: Iterable[Event | View | None], is_let_in: Callable[[], bool], *, asked_every: float = ASKED_EVERY
) -> Iterator[str]:
    """What is told as messages, until the operation has ended, or whoever follows it is let in no longer.

    That is asked with each beat, and every so many seconds while there is so much to tell that no beat comes.
    All data is JSON in one line: no text of anybody's can begin another field.
    """
    yield RETRY
    asked_at = clock.monotonic()
    for one in told:
        if one is None or clock.monotonic() - asked_at >= asked_every:
            if not is_let_in():
                return
            asked_at = clock.monotonic()
        if one is None:
            yield BEAT_MESSAGE
        elif isinstance(one, Event):
            yield _message("change", answers.Event.build(one).written(), f"id: {one.id}\n")
        else:
            yield _message("status", answers.OperationStatus.from_view(one).written())
            if _is_over(one):
                yield _END
                return


def _message(name: str, data: str, place: str = "") -> str:
    return f"event: {name}\n{place}data: {data}\n\n"


def _is_over(view: View) -> bool:
    return view.operation.completion in ENDED


#: How the document tells of it.
STREAM: Final[dict[str, Any]] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "string",
            "description": "Server-sent events: `change` with an event as JSON and its id, `status` with the answer of "
            "`/status`, and `end` once the operation has ended and everything was told.",
        }
    }
}
