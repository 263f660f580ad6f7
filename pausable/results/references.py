"""References to results in a store, in place of the results themselves.

A result in the table is JSON text, and a reference starts with a marker. A result that would start with the marker is
wrapped in an object.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from pausable.model.identity import MARK, marked

#: Maximum length of a result in the table, in characters of JSON; larger ones go to a store.
LARGE: Final = 64 * 1024
#: Folder within the store of the setting RESULTS for results that the service moves there.
OWN: Final = ".operations"

_KEY: Final = MARK
_MARKED: Final = f'{{"{_KEY}":'
_FIELDS: Final = {"store", "path", "serializer"}
_VALUE, _END = f'{_MARKED}{{"value":', "}}"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a result is: the location of its store, the path there, and its serializer."""

    store: str
    path: str
    serializer: str

    @property
    def text(self) -> str:
        """Return the reference as it is stored in place of a result."""
        return json.dumps({_KEY: asdict(self)}, separators=(",", ":"))


def reference_in(text: str) -> Reference | None:
    """Return the reference stored in place of a result; None if the result itself is stored."""
    if not text.startswith(_MARKED) or text.startswith(_VALUE):
        return None
    kept = json.loads(text)[_KEY]
    return Reference(**kept) if isinstance(kept, dict) and kept.keys() == _FIELDS else None


def stored_value(text: str | None) -> Any:
    """Return the stored JSON of a result as dicts and lists, without resolving references or tagged values."""
    value = None if text is None else json.loads(text)
    return marked(value) if text and not text.startswith(_MARKED) else value


def shown(text: str, place: str, *, is_of_parts: bool = False) -> str:
    """Return the JSON of a result as people see it: a reference is replaced by where to get the value.

    Args:
        text: The result as stored.
        place: The path or the URL of the whole value.
        is_of_parts: Whether it is a list of results of steps, each of which may be a reference.
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
    """Return the JSON of a value as stored; wrap one that would be taken for a reference."""
    return f"{_VALUE}{text}{_END}" if text.startswith(_MARKED) else text


def unescaped(text: str) -> str:
    """Return the JSON of a stored value, unwrapped; a reference is returned as it is."""
    return text[len(_VALUE) : -len(_END)] if text.startswith(_VALUE) else text


def folder_of(installation: str, operation_id: int) -> str:
    """Return the folder for results that the service moves into a store for an operation.

    Several installations may share a store, and each numbers its operations from 1.
    """
    return f"{OWN}/{installation}/{operation_id}"
