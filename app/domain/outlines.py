"""The outline of a stored call: which task it calls, how, and with how many arguments, without their values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from app.domain.document import MAPS, PAUSE_TASK

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Characters of a signature from which on an outline is kept beside it.
LONG: Final = 1000
#: Options that hold calls of other tasks.
_CALLS: Final = ("link", "link_error")
_NO_NAMES: Final = frozenset[str]()
_CALLBACKS: Final = frozenset({"clause", "callback"})
_MAPPED: Final = frozenset({"task"})


def outline_of(signature: str) -> str | None:
    """Return the outline of a stored signature as JSON; None if the signature is short enough to be read instead.

    The outline has the form of a signature. Each argument is null in it, but for the calls of other tasks that some
    arguments and options hold: of these it has the outlines.
    """
    if len(signature) < LONG:
        return None
    return json.dumps(_outline(json.loads(signature)), separators=(",", ":"))


def _outline(call: Mapping[str, Any]) -> dict[str, Any]:
    named = _names_of_calls(str(call.get("task")))
    outline: dict[str, Any] = {"task": call.get("task")}
    for key, value in call.items():
        if key == "args" and isinstance(value, list):
            outline[key] = [None] * len(value)
        elif key == "kwargs" and isinstance(value, dict):
            outline[key] = {name: _called(one) if name in named else None for name, one in value.items()}
        elif key == "options" and isinstance(value, dict):
            outline[key] = {name: _called(one) if name in _CALLS else _short(one) for name, one in value.items()}
        elif isinstance(value, bool):
            outline[key] = value
    return outline


def _names_of_calls(task: str) -> frozenset[str]:
    """Return the names of the arguments by which a task of Celery or of ours is given other calls."""
    if task == PAUSE_TASK:
        return _CALLBACKS
    return _MAPPED if task in MAPS else _NO_NAMES


def _called(value: Any) -> Any:
    if isinstance(value, list):
        return [_called(one) for one in value]
    return _outline(value) if isinstance(value, dict) else None


def _short(value: Any) -> Any:
    """Return an option that says where or when its step runs; None for one that holds more than that."""
    return None if isinstance(value, (list, dict)) or (isinstance(value, str) and len(value) > LONG) else value
