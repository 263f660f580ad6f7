"""Signals: exceptions by which a step's code, or a state handler, says in which state to end. Names as in Prefect 1."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from pausable import clock
from pausable.model.states import Attributes, Failed, Paused, Retrying, Skipped, State, Success
from pausable.model.times import utc

_NOTHING: Final = object()


class Signal(BaseException):
    """Says in which state what raises it ends. As in Prefect 1 it is no Exception: `except Exception` lets it pass.

    What it is given by name, at once or set as an attribute afterwards, is the state's result, unless `result` says
    otherwise: `signal.flag = True` is read by a handler as `state.result.flag`.
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
        """The state that it stands for."""
        return self.kind(self._message, self._outcome())

    def _outcome(self) -> Any:
        return self._result if self._result is not _NOTHING else self._carried or None


class FAIL(Signal):
    """It has failed."""

    kind = Failed


class SUCCESS(Signal):
    """It has succeeded, with what it carries as its result."""

    kind = Success


class SKIP(Signal):
    """It is not needed; neither is what waits for it, unless that says otherwise."""

    kind = Skipped


class RETRY(Signal):
    """It is to be run again, at `start_time` or at once, however often it has run before."""

    kind = Retrying

    def __init__(
        self, message: str | None = None, *, start_time: datetime | timedelta | None = None, **options: Any
    ) -> None:
        super().__init__(message, **options)
        self._start_time = _moment(start_time)

    @property
    def start_time(self) -> datetime:
        """When, in UTC."""
        return self._start_time

    @property
    def state(self) -> State:
        """The state that it stands for."""
        return Retrying(self._message, self._outcome(), self._start_time)


class PAUSE(Signal):
    """Its operation is to pause here; when that is resumed, the code is run again from its beginning.

    With `start_time`, a moment (without a zone: in UTC) or a timedelta from now, the service resumes it then.
    """

    kind = Paused

    def __init__(
        self, message: str | None = None, *, start_time: datetime | timedelta | None = None, **options: Any
    ) -> None:
        super().__init__(message, **options)
        self._start_time = None if start_time is None else _moment(start_time)

    @property
    def state(self) -> State:
        """The state that it stands for."""
        return Paused(self._message, self._outcome(), self._start_time)


class ENDRUN(Signal):
    """It ends at once, in the state given: a handler's word that no other handler is to be asked."""

    def __init__(self, state: State) -> None:
        super().__init__(state.message)
        self._state = state

    @property
    def state(self) -> State:
        """The state that it stands for."""
        return self._state


def _moment(start: datetime | timedelta | None) -> datetime:
    if start is None:
        return utc(clock.now())
    if isinstance(start, timedelta):
        return utc(clock.now() + start.total_seconds())
    if not isinstance(start, datetime):
        raise TypeError(f"start_time is {start!r:.80}: give a datetime or a timedelta")
    return start if start.tzinfo else start.replace(tzinfo=UTC)
