"""How long each task takes in this process: only what was measured to be short may share a transaction."""

from __future__ import annotations

from typing import Final

#: Seconds up to which a task counts as short.
SHORT: Final = 0.005
#: A task is not judged before it has run this often here.
_ENOUGH: Final = 2
#: What one run weighs against all before it: a slow run is forgotten slowly, and makes the task long at once.
_FADING: Final = 0.8


class Pace:
    """The slowest recent run of each task, faded by the faster runs since."""

    def __init__(self) -> None:
        self._slowest: dict[str, float] = {}
        self._runs: dict[str, int] = {}

    def measure(self, task: str, seconds: float) -> None:
        """Take one run of a task into account."""
        self._slowest[task] = max(seconds, self._slowest.get(task, 0.0) * _FADING)
        self._runs[task] = self._runs.get(task, 0) + 1

    def is_short(self, task: str, times: int = 1) -> bool:
        """Whether the task has run here often enough, and briefly enough to be run so often in turn."""
        return self._runs.get(task, 0) >= _ENOUGH and self._slowest[task] * times <= SHORT
