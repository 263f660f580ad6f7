"""Stored values: JSON in which other types are objects with a type and a text.

The format is that of Celery's messages, `{"__type__": "date", "__value__": "2026-01-31"}`, so that plain Celery reads
it too. An author's dict with exactly these two keys is stored as a list of pairs of type `dict`. An object with these
keys that does not decode is returned as a dict: rows of earlier versions may contain one.
"""

from __future__ import annotations

import math
from json import JSONDecoder, JSONEncoder
from json import loads as parsed
from typing import Any, Final

from kombu.utils import json
from pydantic import BaseModel

from pausable.model.nesting import DEEPEST_VALUE, is_nested_deeper

#: Keys of the object that stands for a value that JSON does not support.
_TYPE, _VALUE = "__type__", "__value__"
_ENVELOPE: Final = frozenset((_TYPE, _VALUE))
#: Type of a dict that would be mistaken for such an object.
_DICT: Final = "dict"
_MARK: Final = f'"{_TYPE}"'


class NestedTooDeeply(ValueError):
    """A value is nested more than `DEEPEST_VALUE` deep, which workflow.json does not support."""

    def __init__(self) -> None:
        super().__init__(f"it is nested more than {DEEPEST_VALUE} deep")


def encode(value: Any, *, around: int = 0) -> str:
    """Return the JSON of a value.

    Supported are the types of Celery's messages, and pydantic models, which are restored as dicts. NaN and the
    infinities are refused, since databases and browsers cannot read them.

    Args:
        value: The value.
        around: How many of its nesting levels are not the author's: the list of a call's arguments is one.

    Raises:
        NestedTooDeeply: It is nested deeper than workflow.json supports.
        TypeError: JSON cannot hold it.
        ValueError: JSON cannot hold it.
    """
    try:
        text = _encoder.encode(value)
        if _MARK in text:
            text = _encoder.encode(_escaped(value))
    except RecursionError:
        raise NestedTooDeeply from None
    except ValueError as fault:
        if str(fault).startswith("Out of range float"):
            _refuse_not_a_number(value)
        raise
    if is_nested_deeper(text, DEEPEST_VALUE + around):
        raise NestedTooDeeply
    return text


def decode(text: str | None) -> Any:
    """Return the value that `encode` wrote."""
    return None if text is None else _decoder.decode(text) if is_tagged(text) else parsed(text)


def is_tagged(text: str) -> bool:
    """Return whether JSON text may contain a tagged value; otherwise `decode` is plain JSON parsing."""
    return _MARK in text


def stored(value: Any, *, around: int = 0) -> Any:
    """Return a value as plain dicts and lists, as `encode` writes it."""
    return parsed(encode(value, around=around))


def restored(value: Any) -> Any:
    """Return a copy of the value that `stored` turned into dicts and lists."""
    return decode(compact(value))


def compact(value: Any) -> str:
    """Return the compact JSON of what was read from the table or returned by `stored`."""
    return _compact.encode(value)


def fault_in(value: Any, within: tuple[int, ...] = ()) -> str:
    """Return the path to the part that `encode` refuses, such as `["rows"][3]`; "" if it is the whole value.

    For a value that contains itself it is the place of the repetition; `within` are the ids of its ancestors.
    """
    if id(value) in within:
        return ""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in parts:
        try:
            encode(part)
        except (NestedTooDeeply, RecursionError):
            return ""
        except Exception:  # a value's own serialisation may raise anything
            return f"[{_quoted(key)}]{fault_in(part, (*within, id(value)))}"
    return ""


class _Encoder(json.JSONEncoder):
    """Encodes the types of Celery's messages, and pydantic models."""

    def default(self, value: Any) -> Any:
        """Return what represents a value of a type that JSON does not support."""
        if isinstance(value, BaseModel):
            return _escaped(value.model_dump())
        return super().default(value)


def _escaped(value: Any) -> Any:
    """Return the value with dicts that would be mistaken for tagged values replaced."""
    if isinstance(value, dict):
        if value.keys() == _ENVELOPE:
            return {_TYPE: _DICT, _VALUE: [[key, _escaped(part)] for key, part in value.items()]}
        return {key: _escaped(part) for key, part in value.items()}
    return [_escaped(part) for part in value] if isinstance(value, list | tuple) else value


def _read(found: dict[str, Any]) -> Any:
    if found.keys() != _ENVELOPE:
        return found
    try:
        return dict(found[_VALUE]) if found[_TYPE] == _DICT else json.object_hook(found)
    except Exception:  # data of a version that had no tagged values
        return found


_encoder: Final = _Encoder(separators=(",", ":"), allow_nan=False)
_compact: Final = JSONEncoder(separators=(",", ":"), allow_nan=False)
_decoder: Final = JSONDecoder(object_hook=_read)


def _quoted(key: Any) -> str:
    return str(json.dumps(key)) if isinstance(key, str) else repr(key)


def _refuse_not_a_number(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        _refuse_not_a_number(part)
