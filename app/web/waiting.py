"""Waiting inside a request for something that happens in another process: bounded in time, and in how many may."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from flask import g, request

from app import clock
from app.errors import ServiceBusy

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two looks, at the least and at the most.
_SHORTEST, _LONGEST = 0.005, 0.1
#: The next look is taken after this part of what has been waited so far: a long wait may end a little late.
_LATENESS: Final = 0.05

#: Seconds that a request waits for a place.
_PATIENCE: Final = 10.0
#: Blueprints whose requests need no place.
_OUTSIDE: Final = frozenset({"health"})


class Entrance:
    """Lets so many requests in at a time, however many threads there are: each may need a connection to the database.

    A stream is through it once its answer has begun.
    """

    def __init__(self, places: int, patience: float = _PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience = patience

    def enter(self) -> None:
        """Wait until there is a place; requests for the state of the service need none. Raises ServiceBusy."""
        if "entrance" not in g and request.blueprint not in _OUTSIDE:
            if not self._places.acquire(timeout=self._patience):
                raise ServiceBusy
            g.entrance = self

    def leave(self, _fault: BaseException | None = None) -> None:
        """Give the place back, where one was taken."""
        if g.pop("entrance", None):
            self._places.release()


class WaitingRoom:
    """Room for so many requests at once; each holds a thread of the web server."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    def wait_until(self, is_over: Callable[[], bool], seconds: float) -> None:
        """Return once it is over or the seconds have passed; at once where no place is free."""
        if not self._places.acquire(blocking=False):
            return
        try:
            _look_until(is_over, seconds)
        finally:
            self._places.release()


def _look_until(is_over: Callable[[], bool], seconds: float) -> None:
    begun = clock.monotonic()
    while not is_over() and (waited := clock.monotonic() - begun) < seconds:
        time.sleep(min(seconds - waited, max(_SHORTEST, min(_LONGEST, waited * _LATENESS))))
