"""When a step that failed is run again by itself, and after which wait."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pausable.errors import StepOptionInvalid
from pausable.model.signals import FAIL

#: Which failures are worth another run: types of exceptions, or a function that tells.
RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]

#: Seconds that a wait grows to at the most, unless said otherwise.
LONGEST: Final = 3600.0
#: A wait with jitter is between this share of it and the whole.
_LEAST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, how long after a failure (in seconds), and after which; each wait is `backoff` times the one before.

    With `jitter` a wait is shortened at random by up to a half, so that many do not come back at once.
    """

    most: int
    delay: float = 0.0
    backoff: float = 1.0
    jitter: bool = False
    longest: float = LONGEST
    on: RetryOn = Exception

    def wants(self, fault: BaseException, done: int) -> bool:
        """Whether to run again after this failure and so many retries before it."""
        if done >= self.most:
            return False
        on: Any = self.on
        if not isinstance(on, type | tuple):
            return bool(on(fault))
        # A failure that is signalled is no Exception, yet a failure like any other.
        return isinstance(fault, on) or (isinstance(fault, FAIL) and issubclass(Exception, on))

    def wait(self, done: int) -> float:
        """Seconds to wait before the next run, so many retries having been made before it."""
        try:
            wait = min(self.delay * self.backoff**done, self.longest)
        except OverflowError:
            wait = self.longest
        return wait * random.uniform(_LEAST, 1.0) if self.jitter else wait  # noqa: S311


def seconds(option: str, given: object) -> float:
    """A number of seconds, or a timedelta, as seconds. Raises StepOptionInvalid."""
    value = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise StepOptionInvalid(option, f"is {given!r}: give a number of seconds, 0 or more, or a timedelta")
    return float(value)


def checked_retry_on(on: object) -> RetryOn:
    """The failures to retry after. Raises StepOptionInvalid."""
    parts = on if isinstance(on, tuple) else tuple(on) if isinstance(on, list) else (on,)
    if parts and all(isinstance(part, type) and issubclass(part, BaseException) for part in parts):
        return parts
    if callable(on) and not isinstance(on, type):
        return on
    raise StepOptionInvalid("retry_on", f"is {on!r}: give types of exceptions, or a function of one exception")
