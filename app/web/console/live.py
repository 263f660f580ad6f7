"""The moving part of a page, sent anew whenever what it shows has changed.

Each message is the whole part as HTML: what one sees after a change is what one would see after loading the page. Of
many who watch the same, one renders it and all are sent that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar, cast

from flask import Flask, Response, current_app, render_template, request, session

from pausable import clock
from pausable.db.database import is_database_error
from pausable.db.history import Sweep, mark_of_all, mark_of_work
from pausable.errors import OperationNotFound
from pausable.model.states import Completion
from pausable.service.feed import BEAT, Feed, Follower

from ..auth import commands, requester
from ..stream import ASKED_EVERY, BEAT_EVENT, LOST_EVENT, RETRY, streamed
from .operations import asked_for, listed, shown
from .pages import BEAT_EVERY, Part, Parts, console
from .session import demand_session
from .workers import at_work, backlog

T = TypeVar("T")

#: Seconds between two messages at the least; a page is renewed so often while anything runs, for its times.
_PAUSE: Final = 0.25
_TICK: Final = 2.0
_MOVING: Final = frozenset({Completion.IN_PROGRESS, Completion.REQUESTING_PAUSE, Completion.REQUESTING_CANCEL})


@console.get("/operations/stream")
def stream_operations() -> Response:
    """Follow the list of operations."""
    asked_for()  # what is refused is refused before the answer begins
    return _stream(_list, (), mark_of_all)


@console.get("/operations/<id:operation_id>/stream")
def stream_operation(operation_id: int) -> Response:
    """Follow an operation."""
    commands().show(requester(), operation_id)
    return _stream(lambda: _one(operation_id), (operation_id,))


@console.get("/workers/stream")
def stream_workers() -> Response:
    """Follow the workers and what they run."""
    return _stream(_work, (), mark_of_work, backlog().by_queue)


def _list() -> Part:
    context = listed()
    found = context["found"].operations
    ids, is_moving = tuple(one.id for one in found), any(one.completion in _MOVING for one in found)
    return Part.of(render_template("console/operations_live.html", **context), ids, is_moving=is_moving)


def _one(operation_id: int) -> Part:
    context = shown(operation_id)
    html = render_template("console/operation_live.html", **context)
    return Part.of(html, (operation_id,), is_moving=context["one"].completion in _MOVING)


def _work() -> Part:
    html = render_template("console/workers_live.html", **at_work(backlog().last()))
    return Part.of(html, (), is_moving=True)  # no sweep tells of the broker's queues, nor of time


def _stream(
    render: Callable[[], Part],
    ids: tuple[int, ...],
    sweep: Sweep | None = None,
    ahead: Callable[[], object] = lambda: None,
) -> Response:
    if request.args.get("who", whose := str(requester().id)) != whose:  # a page of somebody who has signed out here
        return current_app.response_class("This page is of somebody else.", 401, content_type="text/plain")
    return streamed(_Watching(render, ids, sweep, ahead).messages(), session=session["name"])


class _SignedOut(Exception):
    """Whoever watches is let in no longer."""


class _Watching:
    """Somebody who watches a page; what may take long, and needs no database, is done `ahead` of rendering."""

    def __init__(
        self, render: Callable[[], Part], ids: tuple[int, ...], sweep: Sweep | None, ahead: Callable[[], object]
    ) -> None:
        self._render, self._ids, self._sweep, self._ahead = render, ids, sweep, ahead
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        self._environ = request.environ
        self._key = (requester().id, request.script_root, request.full_path)
        self._asked_again_at = clock.monotonic() + ASKED_EVERY
        self._known = request.headers.get("Last-Event-ID")
        self._is_lost = False
        self._looked_at = clock.monotonic()
        self._feed = cast("Feed", current_app.extensions["feed"])
        self._parts = cast("Parts", current_app.extensions["console_parts"])

    def messages(self) -> Iterator[str]:
        """What the page is sent until whoever watches leaves, or is let in no longer, or the process ends."""
        yield RETRY
        with self._feed.follow(self._ids, self._sweep) as follower:
            part = self._seen(clock.monotonic(), None)
            while part is not None and not follower.is_over:
                news = BEAT_EVENT if part.place == self._known else part.message
                yield LOST_EVENT if self._is_lost else news
                self._known = part.place
                if set(part.ids) != follower.ids:
                    follower.turn_to(part.ids)
                time.sleep(_PAUSE)
                part = self._next(follower, part)

    def _next(self, follower: Follower, part: Part) -> Part | None:
        has_changed = follower.wait(_TICK if part.is_moving else BEAT_EVERY)
        now = clock.monotonic()
        if not (has_changed or part.is_moving or self._is_lost) and now < self._looked_at + BEAT:
            return part  # a beat that reads nothing
        return self._seen(now if has_changed else now - _TICK / 2, part)

    def _seen(self, moment: float, last: Part | None) -> Part | None:
        """The part as it is; the last one while the database is out of reach; None for whom it is not to be seen."""
        self._looked_at = clock.monotonic()
        self._ahead()
        try:
            if clock.monotonic() >= self._asked_again_at:
                self._feed.read(lambda: self._in_request(lambda: None))
            part = self._parts.since(moment, self._key, lambda: self._feed.read(lambda: self._in_request(self._render)))
            self._is_lost = False
            return part
        except (OperationNotFound, _SignedOut):
            return None
        except Exception as fault:
            if not is_database_error(fault):
                raise
            self._is_lost = True
            return last

    def _in_request(self, reading: Callable[[], T]) -> T:
        """Read in a request of its own: it is asked again who it is, and nothing is held in between."""
        with self._app.request_context(self._environ):
            if demand_session() is not None:
                raise _SignedOut
            self._asked_again_at = clock.monotonic() + ASKED_EVERY
            return reading()
