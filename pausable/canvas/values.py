"""Values as the table keeps them: JSON in which a value that JSON has no word for is an object of its type and a text.

The form is that of Celery's messages, `{"__type__": "date", "__value__": "2026-01-31"}`, so that plain Celery reads it
too. A dict of an author's own that has just these two keys is kept as its pairs, under the type `dict`, and comes back
as it was. What has the two keys and stands for nothing is a dict: the table of an earlier version may hold such.
"""

from __future__ import annotations

import math
from json import JSONDecoder, JSONEncoder
from json import loads as parsed
from typing import Any, Final

from kombu.utils import json
from pydantic import BaseModel

from pausable.model.nesting import DEEPEST_VALUE, is_nested_deeper

#: The keys of a value that JSON has no word for.
_TYPE, _VALUE = "__type__", "__value__"
_ENVELOPE: Final = frozenset((_TYPE, _VALUE))
#: The type of a dict that could be taken for such a value.
_DICT: Final = "dict"
_MARK: Final = f'"{_TYPE}"'


class NestedTooDeeply(ValueError):
    """A value is nested more than `DEEPEST_VALUE` deep: workflow.json could not hold it."""

    def __init__(self) -> None:
        super().__init__(f"it is nested more than {DEEPEST_VALUE} deep")


def encode(value: Any, *, around: int = 0) -> str:
    """Return the JSON of a value.

    It holds what Celery's messages hold, and pydantic models, which come back as dicts. A number that is none, such as
    NaN, is refused: there is no word for it in JSON, and no database or browser would read it.

    Args:
        value: The value.
        around: How many of its levels are not the author's: the list of a call's arguments is one.

    Raises:
        NestedTooDeeply: It is nested deeper than workflow.json has room for.
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
    """Return whether JSON may hold a value that it has no word for: what `decode` makes of any other, JSON does too."""
    return _MARK in text


def stored(value: Any, *, around: int = 0) -> Any:
    """Return a value as `encode` writes it, as the dicts and lists that this JSON stands for."""
    return parsed(encode(value, around=around))


def restored(value: Any) -> Any:
    """Return the value that dicts and lists made by `stored` stand for: a copy of its own."""
    return decode(compact(value))


def compact(value: Any) -> str:
    """Return the JSON of what was read from the table, or made by `stored`, as it stands there."""
    return _compact.encode(value)


def fault_in(value: Any, within: tuple[int, ...] = ()) -> str:
    """Where in a value that `encode` refuses the refused part stands, such as `["rows"][3]`; nothing for the whole.

    Of one that holds itself that is where it is met again; `within` are the ids of what it stands in.
    """
    if id(value) in within:
        return ""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in parts:
        try:
            encode(part)
        except (NestedTooDeeply, RecursionError):
            return ""
        except Exception:  # a value may bring code of its own that makes JSON of it
            return f"[{_quoted(key)}]{fault_in(part, (*within, id(value)))}"
    return ""


class _Encoder(json.JSONEncoder):
    """Writes what Celery's messages hold, and pydantic models."""

    def default(self, value: Any) -> Any:
        """Return what stands for a value that JSON has no word for."""
        if isinstance(value, BaseModel):
            return _escaped(value.model_dump())
        return super().default(value)


def _escaped(value: Any) -> Any:
    """The value with each dict in it that could be taken for one of ours in another form."""
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
    except Exception:  # it stands for nothing: it was somebody's data before there was a form for that
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
