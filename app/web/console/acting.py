"""What a button asks: one command, with what the form says beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import request

from app import clock
from app.errors import RequestInvalid
from app.web.auth import commands, requester

#: Characters of a reason; as many as the API takes.
_LONGEST: Final = 1000
_ACCEPTED: Final = frozenset({"code", "environment", "moved"})


def act(verb: str, operation_id: int) -> None:
    """Ask that of an operation. Raises what the command raises, and RequestInvalid for a form that cannot be read."""
    VERBS[verb](operation_id)


def _pause(operation_id: int) -> None:
    form = request.form
    commands().pause(
        requester(),
        operation_id,
        reason=_reason(),
        now="now" in form,
        accept_unconfirmed="unconfirmed" in form,
        resume_at=_moment(form.get("resume_at", "")),
    )


def _resume(operation_id: int) -> None:
    accepted = _ACCEPTED & set(request.form.getlist("accept"))
    commands().resume(requester(), operation_id, take_back="moved" in accepted, accepted=tuple(accepted))


def _cancel(operation_id: int) -> None:
    commands().cancel(requester(), operation_id, reason=_reason())


def _retry(operation_id: int) -> None:
    commands().retry(requester(), operation_id, reason=_reason())


#: What can be asked of an operation, in the order of the buttons.
VERBS: Final[Mapping[str, Callable[[int], Any]]] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "cancel": _cancel,
}


def _reason() -> str | None:
    return request.form.get("reason", "").strip()[:_LONGEST] or None


def _moment(text: str) -> float | None:
    """The moment, in UTC, that a field of date and time says."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise RequestInvalid([_fault("It is no date and time, such as 2030-01-31T08:00")]) from None
    if seconds <= clock.now():
        raise RequestInvalid([_fault("It is past already")])
    return seconds


def _fault(message: str) -> dict[str, str]:
    return {"in": "body", "field": "resume_at", "message": message}
