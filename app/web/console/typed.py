"""What is typed into the fields of a form, as JSON values; and values as they would be typed."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from pydantic_core import from_json

from app.web.console.forms import Field, Kind, Schema, fields_of, in_json

#: Characters of a number: more are no number that anybody means.
_LONGEST: Final = 400
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: What browsers take for a date, and for a date and time; those that they send are without an offset.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LOCAL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?")
_BREAK: Final = re.compile(r"\r\n|\r|\n")


class _Unreadable(Exception):
    """A text is nothing of its kind; the message says so."""


def read(fields: Iterable[Field], typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of what is typed, and what is wrong with those texts that are no value; both by the field's name.

    What is left empty is null where that may be, else left out, so that the default counts.
    """
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for one in fields:
        text = typed.get(one.name, "")
        try:
            if _is_given(one, text):
                values[one.name] = _READERS[one.kind](one, text)
            elif one.is_nullable:
                values[one.name] = None
        except _Unreadable as why:
            faults[one.name] = str(why)
    return values, faults


def typed_as(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, str]:
    """The texts for these values by the field's name, else for the defaults."""
    return {
        one.name: _text(one, values.get(one.name, one.default))
        for one in fields
        if one.has_default or one.name in values
    }


def filled_in(schema: Schema, values: Mapping[str, Any]) -> tuple[tuple[Field, ...], dict[str, str]]:
    """The fields with texts that give exactly these values again; one whose kind cannot say its value is of JSON."""
    fields = tuple(one if _can_say(one, values) else in_json(one) for one in fields_of(schema))
    return fields, typed_as(fields, values)


def _can_say(one: Field, values: Mapping[str, Any]) -> bool:
    if one.name not in values and not one.has_default:
        return True
    value = values.get(one.name, one.default)
    try:
        text = _text(one, value)
    except (KeyError, TypeError, ValueError):
        return False  # an old operation's value, of another kind than is asked for today
    said, _ = read([one], {one.name: text})
    return _survives(one, text) and json.dumps(said.get(one.name, one.default)) == json.dumps(value)


def _survives(one: Field, text: str) -> bool:
    """Whether a browser shows the text, and sends it, as it is."""
    shape = {Kind.DATE: _DATE, Kind.MOMENT: _LOCAL}.get(one.kind)
    if shape and text and not shape.fullmatch(text):
        return False
    breaks = "\n" if one.kind in (Kind.PASSAGE, Kind.LINES, Kind.JSON) else ""
    return all(sign in breaks or unicodedata.category(sign) not in ("Cc", "Cs") for sign in text)


def _is_given(one: Field, text: str) -> bool:
    if one.kind is Kind.SWITCH or (one.kind is Kind.LINES and not one.is_nullable):
        return True
    if one.kind in (Kind.TEXT, Kind.PASSAGE):
        return text != "" or (isinstance(one.default, str) and not one.is_nullable)
    return bool(text.strip())


def _whole(_one: Field, text: str) -> int:
    if len(text) > _LONGEST or not _WHOLE.fullmatch(text.strip()):
        raise _Unreadable("This is no whole number, such as 12")
    return int(text)


def _number(_one: Field, text: str) -> int | float:
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text.strip()):
        raise _Unreadable("This is no number, such as 12 or 0.5")
    value = float(text)
    if not math.isfinite(value):
        raise _Unreadable("This number is too large")
    return int(text) if _WHOLE.fullmatch(text.strip()) else value


def _date(_one: Field, text: str) -> str:
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise _Unreadable("This is no date, such as 2030-01-31") from None


def _moment(_one: Field, text: str) -> str:
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        raise _Unreadable("This is no date and time, such as 2030-01-31T08:00") from None
    return f"{text.strip()}Z" if _LOCAL.fullmatch(text.strip()) else text.strip()


def _choice(one: Field, text: str) -> Any:
    try:
        return one.choices[text]
    except KeyError:
        raise _Unreadable(f"This is none of {', '.join(one.choices)}") from None


def _lines(one: Field, text: str) -> list[Any]:
    item, found = one.item, []
    if item is None:
        raise TypeError(one.name)
    for number, line in enumerate(_BREAK.split(text), 1):
        if line.strip():
            try:
                found.append(_READERS[item.kind](item, line))
            except _Unreadable as why:
                raise _Unreadable(f"Line {number}: {why}") from None
    return found


def _json(_one: Field, text: str) -> Any:
    try:
        value = from_json(text, allow_inf_nan=False)
        json.dumps(value, allow_nan=False)  # 1e999 is JSON, and too large for any number here
    except ValueError as why:
        raise _Unreadable(f"This is no JSON: {why}") from None
    return value


_READERS: Final[Mapping[Kind, Callable[[Field, str], Any]]] = {
    Kind.WHOLE: _whole,
    Kind.NUMBER: _number,
    Kind.TEXT: lambda _, text: text,
    Kind.PASSAGE: lambda _, text: _BREAK.sub("\n", text),  # browsers send each line break as two signs
    Kind.DATE: _date,
    Kind.MOMENT: _moment,
    Kind.CHOICE: _choice,
    Kind.SWITCH: lambda _, text: text != "",
    Kind.LINES: _lines,
    Kind.JSON: _json,
}


def _text(one: Field, value: Any) -> str:
    if value is None and one.is_nullable:
        return ""
    if one.kind is Kind.LINES and one.item:
        return "\n".join(_text(one.item, each) for each in value)
    if one.kind is Kind.CHOICE:
        return _chosen(one.choices, value)
    write = _WRITERS.get(one.kind)
    return write(value) if write else value if isinstance(value, str) else json.dumps(value)


def _as_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    is_safe = all(sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cs") for sign in text)
    return text if is_safe else json.dumps(value, indent=2)


def _chosen(choices: Mapping[str, Any], value: Any) -> str:
    """The text of the choice; 1, 1.0 and true are different ones. Raises KeyError."""
    same = [text for text, one in choices.items() if json.dumps(one) == json.dumps(value)]
    if not same:
        raise KeyError(value)
    return same[0]


_WRITERS: Final[Mapping[Kind, Callable[[Any], str]]] = {
    Kind.JSON: _as_json,
    Kind.SWITCH: lambda value: "on" if value else "",
    Kind.MOMENT: lambda value: str(value).removesuffix("Z"),
}
