"""Keeping what is wrong with one operation from all others that the same thread looks after."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from app.store.errors import is_outage

if TYPE_CHECKING:
    from collections.abc import Iterator

_log: Final = logging.getLogger(__name__)


@contextmanager
def apart(operation_id: int, what: str) -> Iterator[None]:
    """Log what is raised inside the block, and go on behind it; an outage concerns all operations, and is raised.

    Args:
        operation_id: The operation that the block is about.
        what: What is done inside the block, in words that follow "of operation 7,".
    """
    try:
        yield
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("of operation %s, %s failed", operation_id, what)
