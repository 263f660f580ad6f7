"""The options of a step's call that the engine uses, and their valid values.

An invalid value would raise later: in the broker's client, in a worker's main process, or when the previous step is
recorded. So it is refused in every call: of a canvas, a replacement, a retry, a document or a task.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Options that a task may define itself.
OWN_OPTIONS: Final = ("queue", "priority", "time_limit", "soft_time_limit")
#: Maximum bytes of a name in AMQP.
_LONGEST_NAME: Final = 255
_HIGHEST: Final = 255
_SEVERAL: Final = (list, tuple, set, frozenset)

Fault = tuple[str, str]


def faults_in(options: Mapping[str, object]) -> Iterator[Fault]:
    """Yield each option with an invalid value, and a clause that says what it is and what to give."""
    for name, value in options.items():
        if name in _RULES and value is not None and not _RULES[name][0](value):
            yield name, f"is {_shown(value)}: give {_RULES[name][1]}"


def read_eta(eta: str, timezone: tzinfo = UTC) -> datetime:
    """Return the moment of an ISO 8601 `eta`; without a zone it is in `timezone`. Raise ValueError."""
    moment = datetime.fromisoformat(eta)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone)


def stamps_in(options: Mapping[str, object]) -> frozenset[str]:
    """Return the names of a call's stamps; none if `faults_in` reports `stamped_headers`."""
    names = options.get("stamped_headers")
    return frozenset(names) if isinstance(names, _SEVERAL) and _is_stamps(names) else frozenset()


def _shown(value: object) -> str:
    try:
        return repr(str(value)[:80])
    except Exception:  # an author's own class, or an integer with thousands of digits
        return f"of the type {type(value).__name__}"


def _is_wait(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -sys.float_info.max <= value <= sys.float_info.max  # type: ignore[operator] # it is a number


def _is_moment(value: object) -> bool:
    if isinstance(value, datetime):
        return True
    try:
        return isinstance(value, str) and read_eta(value) is not None
    except ValueError:
        return False


def _is_limit(value: object) -> bool:
    return _is_wait(value) and value > 0  # type: ignore[operator] # it is a number


def _is_name(value: object) -> bool:
    try:
        return isinstance(value, str) and 0 < len(value.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:  # a lone surrogate cannot be sent
        return False


def _is_priority(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST


def _is_headers(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_stamps(value: object) -> bool:
    return isinstance(value, _SEVERAL) and all(isinstance(name, str) for name in value)


_NAME: Final = (_is_name, f"a name of at most {_LONGEST_NAME} bytes")
_LIMIT: Final = (_is_limit, "a number of seconds above 0")
_RULES: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "queue": _NAME,
    "exchange": _NAME,
    "routing_key": _NAME,
    "priority": (_is_priority, f"a whole number from 0 to {_HIGHEST}"),
    "time_limit": _LIMIT,
    "soft_time_limit": _LIMIT,
    "countdown": (_is_wait, "a number of seconds"),
    "eta": (_is_moment, "a datetime, or its text in ISO 8601"),
    "headers": (_is_headers, "a dict with texts as keys"),
    "stamped_headers": (_is_stamps, "a list of texts"),
}
