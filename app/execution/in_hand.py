"""What a courier has in hand, and which endpoints were slow of late: few go to these at once, so that others get on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app import clock

if TYPE_CHECKING:
    from app.store.notifications import Outgoing, Place

#: Seconds after which a delivery counts as slow, and for which its endpoint does then.
_SLOW: Final = 1.0
_REMEMBERED: Final = 60.0
#: Rows in hand for one slow endpoint at the most.
_FEW: Final = 2


class InHand:
    """Of one thread; an endpoint is known by the place of its notification in the code."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._hanging: dict[int, Place] = {}
        self._slow_until: dict[Place, float] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, row: Outgoing) -> None:
        """Have a row in hand."""
        self._places[row.id] = row.place

    def drop(self, row_id: int) -> None:
        """Have it in hand no more."""
        self._places.pop(row_id, None)
        self._hanging.pop(row_id, None)

    def leave(self, row: Outgoing) -> None:
        """Count a row whose delivery hangs for its endpoint alone: as many as may hang there, and others get on."""
        self._places.pop(row.id, None)
        self._hanging[row.id] = row.place

    def took(self, place: Place, seconds: float) -> None:
        """Note how long a delivery took: one that was quick makes up for those that were slow."""
        if seconds > _SLOW:
            self._slow_until[place] = clock.monotonic() + _REMEMBERED
        else:
            self._slow_until.pop(place, None)

    def slow(self) -> list[Place]:
        """The endpoints that were slow of late."""
        now = clock.monotonic()
        self._slow_until = {place: until for place, until in self._slow_until.items() if until > now}
        return sorted({*self._slow_until, *self._hanging.values()})

    def room_for(self, place: Place) -> int:
        """How many more a slow endpoint may be given."""
        return max(0, _FEW - [*self._places.values(), *self._hanging.values()].count(place))

    def full(self) -> list[Place]:
        """The slow endpoints that may be given no more for now."""
        return [place for place in self.slow() if not self.room_for(place)]
