"""The part of an operation's graph that a slice has read ahead, as far as its own endings have changed it.

Other workers only ever lower the counters in the table, so what is ready here is ready there: nobody else can have
claimed it, since it is still pending in the table until this slice settles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.domain.states import StepState
from app.store.step_queries import window

if TYPE_CHECKING:
    from app.store.database import Database
    from app.store.steps import StepTask

#: How many steps are read ahead at a time.
AHEAD: Final = 64


class Neighbourhood:
    """The steps after one step that are near enough to be read ahead."""

    def __init__(self) -> None:
        self._pending: dict[int, StepTask] = {}
        self._waiting: dict[int, int] = {}
        self._below: dict[int, list[int]] = {}
        self._ready: list[int] = []
        self._read: set[int] = set()

    def read(self, database: Database, operation_id: int, after: int) -> None:
        """Read the steps after `after`, in place of what was known."""
        with database.read() as tx:
            steps, edges = window(tx, operation_id, after=after, limit=AHEAD)
        self._pending = {step.number: step for step, state in steps if state is StepState.PENDING}
        self._waiting = {number: step.waiting for number, step in self._pending.items()}
        self._ready = []
        self._read = {after, *(step.number for step, _state in steps)}
        self._below = {}
        for up, down in edges:
            self._below.setdefault(up, []).append(down)

    def knows(self, number: int) -> bool:
        """Whether the edges below this step were read."""
        return number in self._read

    def count_down(self, number: int) -> None:
        """Take into account that a step has succeeded."""
        for below in self._below.get(number, ()):
            if below in self._waiting:
                self._waiting[below] -= 1
                if self._waiting[below] == 0:
                    self._ready.append(below)

    def below(self, number: int) -> list[int]:
        """The steps directly below one that was read."""
        return self._below.get(number, [])

    def first_ready(self) -> StepTask | None:
        """The first step that waits for nothing any more; it stays ready until it is taken."""
        return self._pending[min(self._ready)] if self._ready else None

    def take(self, step: StepTask) -> None:
        """Take a ready step out: it runs now."""
        self._ready.remove(step.number)

    def forget(self) -> None:
        """Forget everything: the table has been written, and may say more than was read."""
        self.__init__()  # type: ignore[misc]
