"""When a failed step is retried, and after which wait."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pausable.errors import StepOptionInvalid
from pausable.model.signals import FAIL

#: Failures to retry after: exception types, or a predicate.
RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]

#: Default maximum of a wait, in seconds.
LONGEST: Final = 3600.0
#: A wait with jitter is between this fraction of it and the whole.
_LEAST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Retries:
    """The number of retries, the wait before each (in seconds) and the failures; each wait is multiplied by `backoff`.

    With `jitter` a wait is shortened at random by up to a half, so that many steps do not return at once.
    """

    most: int
    delay: float = 0.0
    backoff: float = 1.0
    jitter: bool = False
    longest: float = LONGEST
    on: RetryOn = Exception

    def wants(self, fault: BaseException, done: int) -> bool:
        """Return whether to retry after this failure and so many retries."""
        if done >= self.most:
            return False
        on: Any = self.on
        if not isinstance(on, type | tuple):
            return bool(on(fault))
        # The signal FAIL is not an Exception, but a failure like any other.
        return isinstance(fault, on) or (isinstance(fault, FAIL) and issubclass(Exception, on))

    def wait(self, done: int) -> float:
        """Return the seconds before the next run, after so many retries."""
        try:
            wait = min(self.delay * self.backoff**done, self.longest)
        except OverflowError:
            wait = self.longest
        return wait * random.uniform(_LEAST, 1.0) if self.jitter else wait  # noqa: S311


def seconds(option: str, given: object) -> float:
    """Return a number of seconds or a timedelta in seconds. Raise StepOptionInvalid otherwise."""
    value = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise StepOptionInvalid(option, f"is {given!r}: give a number of seconds, 0 or more, or a timedelta")
    return float(value)


def checked_retry_on(on: object) -> RetryOn:
    """Return the failures to retry after. Raise StepOptionInvalid if they are invalid."""
    parts = on if isinstance(on, tuple) else tuple(on) if isinstance(on, list) else (on,)
    if parts and all(isinstance(part, type) and issubclass(part, BaseException) for part in parts):
        return parts
    if callable(on) and not isinstance(on, type):
        return on
    raise StepOptionInvalid("retry_on", f"is {on!r}: give types of exceptions, or a function of one exception")
