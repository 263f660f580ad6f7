"""Doing again what the database refused for the moment: a step that has run must be recorded, not run again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

from app.store.errors import is_outage

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

#: Seconds before the first repetition and, doubled each time, at the most.
_FIRST, _LONGEST = 0.05, 2.0

_log: Final = logging.getLogger(__name__)


def surely(action: Callable[[], T]) -> T:
    """Do it until the database lets it through; whatever else it raises is raised.

    There is no last time: nothing else can be done either while the database is out of reach, and a worker that is to
    end meanwhile is ended by its grace.
    """
    wait = _FIRST
    while True:
        try:
            return action()
        except Exception as fault:
            if not is_outage(fault):
                raise
            _log.warning("the database is out of reach, trying again: %s", type(fault).__name__)
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST)
