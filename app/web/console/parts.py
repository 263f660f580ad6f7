"""The moving parts of pages, rendered once for all who watch the same."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app import clock

if TYPE_CHECKING:
    from collections.abc import Callable

#: Parts of pages that are kept for others who watch the same.
_KEPT: Final = 256


class Part(NamedTuple):
    """The moving part of a page as the message that brings it: the id by which a browser says that it has it.

    `ids` are the operations in it, and `is_moving` is whether any of them moves by itself.
    """

    place: str
    message: str
    ids: tuple[int, ...]
    is_moving: bool

    @classmethod
    def of(cls, html: str, ids: tuple[int, ...], *, is_moving: bool) -> Part:
        """The part of this HTML; no line of it can begin another field of the message."""
        place = sha256(html.encode()).hexdigest()[:16]
        lines = "".join(f"data: {line}\n" for line in re.split("\r\n|\r|\n", html))
        return cls(place, f"id: {place}\n{lines}\n", ids, is_moving)


class Parts:
    """The parts that were rendered last, for all who watch the same page of the same person."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._kept: OrderedDict[Any, tuple[float, Part]] = OrderedDict()
        self._rendering: dict[Any, threading.Lock] = {}

    def since(self, moment: float, key: Any, render: Callable[[], Part]) -> Part:
        """The part as it was at that moment of the clock or later; what another renders meanwhile is waited for."""
        with self._changing:
            lock = self._rendering.setdefault(key, threading.Lock())
        with lock:
            began, part = self._kept.get(key, (float("-inf"), None))
            if part is None or began < moment:
                began, part = clock.monotonic(), self._rendered(key, render)
                self._keep(key, began, part)
            return part

    def _rendered(self, key: Any, render: Callable[[], Part]) -> Part:
        try:
            return render()
        except BaseException:
            with self._changing:
                if key not in self._kept:
                    self._rendering.pop(key, None)
            raise

    def _keep(self, key: Any, began: float, part: Part) -> None:
        with self._changing:
            self._kept[key] = (began, part)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                old, _ = self._kept.popitem(last=False)
                self._rendering.pop(old, None)
