"""References to results that lie in a store, in the place of the results themselves.

A result in the table is JSON text. That of a reference begins as no result of a step does: one that would begin so is
written inside an object of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from pausable.model.identity import MARK, marked

#: Characters of JSON that a result in the table has at the most; what is larger goes to a store.
LARGE: Final = 64 * 1024
#: Where the service keeps, within the store of the setting RESULTS, what it has put there by itself.
OWN: Final = ".operations"

_KEY: Final = MARK
_MARKED: Final = f'{{"{_KEY}":'
_FIELDS: Final = {"store", "path", "serializer"}
_VALUE, _END = f'{_MARKED}{{"value":', "}}"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a result lies: the location of its store, the path there, and how to read it."""

    store: str
    path: str
    serializer: str

    @property
    def text(self) -> str:
        """The reference as it stands in the place of a result."""
        return json.dumps({_KEY: asdict(self)}, separators=(",", ":"))


def reference_in(text: str) -> Reference | None:
    """The reference that stands in the place of a result; None where the result itself stands there."""
    if not text.startswith(_MARKED) or text.startswith(_VALUE):
        return None
    kept = json.loads(text)[_KEY]
    return Reference(**kept) if isinstance(kept, dict) and kept.keys() == _FIELDS else None


def stored_value(text: str | None) -> Any:
    """The JSON of a result as dicts and lists; only what its text marks is a reference or a marked value there."""
    value = None if text is None else json.loads(text)
    return marked(value) if text and not text.startswith(_MARKED) else value


def shown(text: str, place: str, *, is_of_parts: bool = False) -> str:
    """Return the JSON of a result as people are shown it: in the place of a reference stands where to have the value.

    Args:
        text: The result as the table has it.
        place: The path or the address that gives the value whole.
        is_of_parts: Whether it is a list of what steps have returned, each of which may lie elsewhere.
    """
    if reference_in(text):
        return _linked(place)
    text = unescaped(text)
    if not is_of_parts or _KEY not in text:
        return text
    return json.dumps(_shown_parts(json.loads(text), place), separators=(",", ":"))


def _shown_parts(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_shown_parts(part, place) for part in value]
    if not isinstance(value, dict) or next(iter(value), None) != _KEY:
        return value
    text = json.dumps(value, separators=(",", ":"))
    return json.loads(shown(text, place))


def _linked(place: str) -> str:
    return json.dumps({_KEY: {"href": place}}, separators=(",", ":"))


def escaped(text: str) -> str:
    """The JSON of a value as the table has it: one that could be taken for a reference is put into an object."""
    return f"{_VALUE}{text}{_END}" if text.startswith(_MARKED) else text


def unescaped(text: str) -> str:
    """The JSON of the value that the table has; a reference stays one."""
    return text[len(_VALUE) : -len(_END)] if text.startswith(_VALUE) else text


def folder_of(installation: str, operation_id: int) -> str:
    """Where the service keeps what it has put into a store by itself for an operation.

    Several installations may share a store, and each counts its operations from 1.
    """
    return f"{OWN}/{installation}/{operation_id}"
