"""What a button asks: one command, with what the form says beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import request

from app import clock
from app.domain.moments import moment_of
from app.errors import MomentTooFar, RequestInvalid
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
        resume_at=moment_in("resume_at") if "resume_at" in form else _until_now_meant(operation_id),
    )


def _until_now_meant(operation_id: int) -> float | None:
    """When it would go on by itself as it stands: a button that asks for no time takes none away."""
    return commands().show(requester(), operation_id).operation.resume_at


def _resume(operation_id: int) -> None:
    accepted = _ACCEPTED & set(request.form.getlist("accept"))
    commands().resume(
        requester(), operation_id, reason=_reason(), take_back="moved" in accepted, accepted=tuple(accepted)
    )


def _cancel(operation_id: int) -> None:
    commands().cancel(requester(), operation_id, reason=_reason())


def _retry(operation_id: int) -> None:
    take_back = "moved" in request.form.getlist("accept")
    commands().retry(requester(), operation_id, reason=_reason(), take_back=take_back)


#: What can be asked of an operation, in the order of the buttons.
VERBS: Final[Mapping[str, Callable[[int], Any]]] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "cancel": _cancel,
}


def _reason() -> str | None:
    # PostgreSQL takes NUL in no text.
    return request.form.get("reason", "").replace("\x00", "").strip()[:_LONGEST] or None


def moment_in(field: str) -> float | None:
    """The moment that a field of date and time says, in UTC where it says no offset; None where it is empty.

    Raises RequestInvalid for what is no moment, and for one that is past or too far ahead.
    """
    text, now = request.form.get(field, "").strip(), clock.now()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        seconds = moment_of(text if at.tzinfo else at.replace(tzinfo=UTC).isoformat(), now)
    except MomentTooFar:
        raise _fault(field, "It lies more than ten years ahead") from None
    except ValueError:
        raise _fault(field, "It is no date and time, such as 2030-01-31T08:00") from None
    if seconds <= now:
        raise _fault(field, "It is past already")
    return seconds


def _fault(field: str, message: str) -> RequestInvalid:
    return RequestInvalid([{"in": "body", "field": field, "message": message}])
