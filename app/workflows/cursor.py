"""The cursor of a step: the place that its code has reached, from which it goes on after a pause or a lost worker."""

from __future__ import annotations

from collections.abc import Sized
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import OverTwice, PlaceOfAnother
from app.execution.cursors import EVERY, keeper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.execution.cursors import Keeper

T = TypeVar("T")


class Cursor:
    """The cursor of whichever step runs here; outside an operation it keeps nothing."""

    @property
    def place(self) -> Any:
        """The place reached, as JSON gives it back: an earlier run's until this one keeps its own; None at first."""
        mine = keeper.get()
        return None if mine is None else mine.place

    def keep(self, place: Any, *, done: int | None = None, total: int | None = None) -> None:
        """Say that all before `place` is done; the step stops here when a pause or cancel is requested.

        It is written at most once a second, and always where the step stops. Raises PlaceRefused.
        """
        mine = keeper.get()
        if mine is not None:
            mine.keep(place, done, total)

    def over(self, rows: Iterable[T], every: float = EVERY) -> Iterator[T]:
        """The rows that were not done by an earlier run, the place being how many are; they must come in one order.

        It is kept after a row, at most each `every` seconds, 1 or more. Raises OverTwice, PlaceOfAnother.
        """
        mine = keeper.get()
        return iter(rows) if mine is None else _over(mine, rows, every)


def _over(mine: Keeper, rows: Iterable[T], every: float) -> Iterator[T]:
    if mine.is_over:
        raise OverTwice
    mine.is_over = True
    done = mine.place or 0
    if type(done) is not int or done < 0:
        raise PlaceOfAnother(mine.place)
    total = len(rows) if isinstance(rows, Sized) else None
    for row in islice(rows, done, None):
        yield row
        done += 1
        mine.keep(done, done, total, every)


#: What steps are written with.
cursor = Cursor()
