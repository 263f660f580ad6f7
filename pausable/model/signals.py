"""Signals: exceptions by which a step's code or a state handler chooses the final state. Names as in Prefect 1."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from pausable import clock
from pausable.model.states import Attributes, Failed, Paused, Retrying, Skipped, State, Success
from pausable.model.times import utc

_NOTHING: Final = object()


class Signal(BaseException):
    """Sets the state of whatever raises it. As in Prefect 1 it is not an Exception, so `except Exception` passes it on.

    Keyword arguments and attributes set later form the state's result unless `result` is given: a handler reads
    `signal.flag = True` as `state.result.flag`.
    """

    kind: ClassVar[type[State]]

    def __init__(self, message: str | None = None, *, result: Any = _NOTHING, **carried: Any) -> None:
        super().__init__(message)
        self._message = message
        self._result = result
        self._carried = Attributes(carried)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self._carried[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._carried, name)

    def __str__(self) -> str:
        return self._message or ""

    @property
    def state(self) -> State:
        """Return its state."""
        return self.kind(self._message, self._outcome())

    def _outcome(self) -> Any:
        return self._result if self._result is not _NOTHING else self._carried or None


class FAIL(Signal):
    """End as Failed."""

    kind = Failed


class SUCCESS(Signal):
    """End as Success with the given result."""

    kind = Success


class SKIP(Signal):
    """End as Skipped; downstream steps are skipped too unless they say otherwise."""

    kind = Skipped


class RETRY(Signal):
    """Run again at `start_time` or at once, however often it has run."""

    kind = Retrying

    def __init__(
        self, message: str | None = None, *, start_time: datetime | timedelta | None = None, **options: Any
    ) -> None:
        super().__init__(message, **options)
        self._start_time = _moment(start_time)

    @property
    def start_time(self) -> datetime:
        """Return the time in UTC."""
        return self._start_time

    @property
    def state(self) -> State:
        """Return its state."""
        return Retrying(self._message, self._outcome(), self._start_time)


class PAUSE(Signal):
    """Pause the operation here; after the resume the code runs again from its beginning.

    With `start_time`, a moment (UTC unless it has a zone) or a timedelta from now, the service resumes it then.
    """

    kind = Paused

    def __init__(
        self, message: str | None = None, *, start_time: datetime | timedelta | None = None, **options: Any
    ) -> None:
        super().__init__(message, **options)
        self._start_time = None if start_time is None else _moment(start_time)

    @property
    def state(self) -> State:
        """Return its state."""
        return Paused(self._message, self._outcome(), self._start_time)


class ENDRUN(Signal):
    """End at once in the given state, without calling further handlers."""

    def __init__(self, state: State) -> None:
        super().__init__(state.message)
        self._state = state

    @property
    def state(self) -> State:
        """Return its state."""
        return self._state


def _moment(start: datetime | timedelta | None) -> datetime:
    if start is None:
        return utc(clock.now())
    if isinstance(start, timedelta):
        return utc(clock.now() + start.total_seconds())
    if not isinstance(start, datetime):
        raise TypeError(f"start_time is {start!r:.80}: give a datetime or a timedelta")
    return start if start.tzinfo else start.replace(tzinfo=UTC)
