"""How long something has stood still, by this process's own clock: no two machines' clocks need to agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import clock

if TYPE_CHECKING:
    from collections.abc import Hashable


class Leases:
    """What was seen at each look, and since when it has not changed; `lease` is in seconds."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[Hashable, tuple[Any, float]] = {}
        self._before: dict[Hashable, tuple[Any, float]] = {}
        self._looked_at = float("-inf")

    def look(self, *, is_beating: bool = True) -> None:
        """Begin a look; what the last one did not ask for is forgotten.

        A watcher who has not looked for a whole lease was stopped, perhaps with everybody else, and one whose own heart
        could not beat tells by nobody's: it starts anew, or it would take all of them for dead when they go on.
        """
        now = clock.monotonic()
        has_slept = now - self._looked_at > self._lease or not is_beating
        self._before, self._seen, self._looked_at = {} if has_slept else self._seen, {}, now

    def has_stood_still(self, key: Hashable, mark: Any) -> bool:
        """Whether `key` has shown the same mark at every look for a whole lease."""
        seen = self._seen.get(key) or self._before.get(key)
        if seen is None or seen[0] != mark:
            seen = (mark, self._looked_at)
        self._seen[key] = seen
        return self._looked_at - seen[1] >= self._lease
