"""The events of an operation as server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html)."""

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
#: Maximum streams of one web process, each with a thread of its own besides the pool for other requests.
PLACES: Final = 200
#: Reserved streams for users who have fewer than so many.
KEPT: Final = 32
_FEW: Final = 4
#: Maximum streams per session of the console. A browser opens six connections to an HTTP/1.1 server: further windows
#: poll instead, or their streams would block all other requests of the browser.
_OF_A_SESSION: Final = 4
#: Threads of a web server that serve other requests.
_ANSWERING: Final = 64
#: Milliseconds after which a browser reconnects.
RETRY: Final = "retry: 1000\n\n"
#: Seconds after which a client that receives data all the time is authenticated again.
ASKED_EVERY: Final = 10.0
#: A comment line, which fails if the client is gone.
BEAT_MESSAGE: Final = ": beat\n\n"
#: The same for scripts, which cannot see comments: it shows that the connection is alive.
BEAT_EVENT: Final = "event: beat\ndata: {}\n\n"
#: For scripts: the data is the last that could be read, because the database cannot be reached.
LOST_EVENT: Final = "event: lost\ndata: {}\n\n"
# An event without data is not dispatched (same specification, 9.2.6).
_END: Final = "event: end\ndata: {}\n\n"
#: Headers that keep caches and proxies from storing or buffering a stream.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}


IsGone = Callable[[], bool]


class StreamHeader(Asked):
    """The headers of a request for a stream."""

    last_event_id: Place = Field(
        None, alias="Last-Event-ID", description="Of a stream: go on behind this event, whatever `after` says."
    )


class StreamRoom:
    """Limits concurrent streams, with reserved places for users who have few."""

    def __init__(self, places: int, kept: int = 0) -> None:
        self._places = places
        self._kept = kept
        self._held: Counter[int] = Counter()
        self._of_sessions: dict[str, list[IsGone]] = {}
        self._lock = threading.Lock()

    def fit(self, threads: int) -> None:
        """Reduce the limits so that a server of so many threads keeps 64 of them, or half, for other requests."""
        room = threads - max(1, min(_ANSWERING, threads // 2))
        self._kept = min(self._kept, room * self._kept // (self._places + self._kept))
        self._places = min(self._places, room - self._kept)

    def enter(self, user_id: int, session: str | None = None, is_gone: IsGone = lambda: False) -> Callable[[], None]:
        """Take a place for a user; return a callable that frees it.

        Args:
            user_id: The user.
            session: The console session of the page; None outside the console.
            is_gone: Returns whether the client has gone: such a stream ends at its next write and no longer counts for
                its session.

        Raises:
            TooManyWatchers: There is no place left.
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
    """Return a callable that checks whether the client has closed the connection, if the server supports it."""
    connection = request.environ.get("gunicorn.socket")

    def is_gone() -> bool:
        if connection is None:
            return False
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
            return bool(poll.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):  # reset or closed meanwhile
            return True

    return is_gone


def prefers_stream() -> bool:
    """Return whether the request prefers a stream to JSON."""
    return request.accept_mimetypes.best_match(["application/json", MEDIA_TYPE]) == MEDIA_TYPE


def stream(operation_id: int, after: int | None) -> Response:
    """Return a stream of an operation's events after the event `after`; 204 if there will be none.

    Raise OperationNotFound or TooManyWatchers.
    """
    who, known = requester(), commands()
    view = known.show(who, operation_id)
    if after is not None and _is_over(view) and not known.events(who, operation_id, after=after, limit=1):
        return current_app.response_class(status=204, headers={"Cache-Control": "no-store", "Vary": "Accept"})
    feed = cast("Feed", current_app.extensions["feed"])
    told, is_let_in = follow(known, feed, who, operation_id, after or 0), is_token_valid()
    return streamed(messages(told, lambda: feed.read(is_let_in)), told.close)


def streamed(body: Iterator[str], close: Callable[[], None] = lambda: None, *, session: str | None = None) -> Response:
    """Return a streaming response that takes a place until it is closed.

    A HEAD request starts nothing, since its body would be neither read nor closed.

    Args:
        body: The messages.
        close: Called when the response is closed, before the place is freed.
        session: The console session of the page.

    Raises:
        TooManyWatchers: There is no place left.
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
    """Yield the messages of a stream until the operation has ended, or the client's token is no longer valid.

    The token is checked with each heartbeat, and every `asked_every` seconds while events leave no time for one. Data
    is JSON in a single line, so that no text can start another field.
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


#: The description in the OpenAPI document.
STREAM: Final[dict[str, Any]] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "string",
            "description": "Server-sent events: `change` with an event as JSON and its id, `status` with the answer of "
            "`/status`, and `end` once the operation has ended and everything was told.",
        }
    }
}
