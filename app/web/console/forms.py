"""Forms of a JSON Schema: their fields, and what is typed into them as JSON values and back."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from pydantic_core import from_json


class Kind(StrEnum):
    """How a value is typed; whatever has no kind of its own is typed as JSON."""

    WHOLE = "whole"
    NUMBER = "number"
    TEXT = "text"
    PASSAGE = "passage"
    DATE = "date"
    MOMENT = "moment"
    CHOICE = "choice"
    SWITCH = "switch"
    LINES = "lines"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """What is asked for: by which name, in which way, and what is said of it.

    `attributes` are those of the HTML element, `choices` the values by their texts, `item` what each line is. One that
    `is_nullable` may be left empty, which means null.
    """

    name: str
    kind: Kind
    label: str = ""
    help: str = ""
    hint: str = ""
    is_required: bool = False
    is_nullable: bool = False
    has_default: bool = False
    default: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    item: Field | None = None

    @property
    def is_demanded(self) -> bool:
        """Whether it may not be left empty."""
        at_least_one = self.kind is not Kind.LINES or self.attributes.get("least", 0) > 0
        return self.is_required and not self.is_nullable and self.kind is not Kind.SWITCH and at_least_one


Schema = Mapping[str, Any]

#: References that lead to references.
_DEEPEST: Final = 20
_SCALARS: Final = (str, int, float, bool, type(None))
_PLAIN: Final = {"integer": Kind.WHOLE, "number": Kind.NUMBER, "boolean": Kind.SWITCH}
_FORMATS: Final = {"date": Kind.DATE, "date-time": Kind.MOMENT}
#: What may take several lines.
_WITH_BREAKS: Final = (Kind.PASSAGE, Kind.LINES, Kind.JSON)
#: What browsers read as the service does: letters, digits and classes of them from beginning to end, however many.
_SAME_FOR_ALL: Final = re.compile(
    r"\^(?:(?:\w|\[(?:\w(?:-\w)?)+\])(?:[?*+]|\{\d+(?:,\d*)?\})?)+\$",
    re.ASCII,
)


def fields_of(schema: Schema, as_json: Collection[str] = ()) -> tuple[Field, ...]:
    """The fields for the properties of an object; those named in `as_json` are typed as JSON whatever they are."""
    required = set(schema.get("required", ()))
    found = (_field(name, one, schema, name in required) for name, one in schema.get("properties", {}).items())
    return tuple(in_json(one) if one.name in as_json else one for one in found)


def in_json(one: Field) -> Field:
    """The same field, typed as JSON."""
    return replace(one, kind=Kind.JSON, hint="As JSON.", attributes={}, choices={}, item=None)


def _field(name: str, written: Schema, whole: Schema, is_required: bool) -> Field:
    schema, is_nullable = _without_null(_resolved(written, whole), whole)
    kind, choices, item = _kind(schema, whole, is_nullable)
    return Field(
        name,
        kind,
        label=str(written.get("title") or name.replace("_", " ").capitalize()),
        help=str(written.get("description") or schema.get("description") or ""),
        hint=_hint(kind, schema, item),
        is_required=is_required,
        is_nullable=is_nullable,
        has_default="default" in written,
        default=written.get("default"),
        attributes=_attributes(kind, schema),
        choices=choices,
        item=item,
    )


def _resolved(schema: Schema, whole: Schema) -> Schema:
    """The schema that references lead to; what stands beside one counts more."""
    for _ in range(_DEEPEST):
        alone = schema.get("allOf", ())
        target = alone[0] if len(alone) == 1 else _target(schema, whole)
        if target is None:
            break
        schema = {**target, **{key: value for key, value in schema.items() if key not in ("$ref", "allOf")}}
    return schema


def _target(schema: Schema, whole: Schema) -> Schema | None:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found: Schema | None = whole.get("$defs", {}).get(name)
    return found


def _without_null(schema: Schema, whole: Schema) -> tuple[Schema, bool]:
    """The schema of what is not null, and whether it may be null beside that."""
    some = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(some) == 1:
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**_resolved(some[0], whole), **beside}, len(some) < len(schema["anyOf"])
    values = schema.get("enum")
    if values and None in values and len(values) > 1:
        return {**schema, "enum": [value for value in values if value is not None]}, True
    return schema, False


def _kind(schema: Schema, whole: Schema, is_nullable: bool) -> tuple[Kind, Mapping[str, Any], Field | None]:
    """How a value of this schema is typed, with its choices and what its lines are."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None and all(isinstance(value, _SCALARS) for value in values):
        return Kind.CHOICE, choices_of(values), None
    kind = _PLAIN.get(schema.get("type", ""))
    if kind is Kind.SWITCH and is_nullable:
        return Kind.CHOICE, choices_of([True, False]), None
    if schema.get("type") == "string":
        is_passage = str(schema.get("contentMediaType", "")).startswith("text/")
        kind = Kind.PASSAGE if is_passage else _FORMATS.get(schema.get("format", ""), Kind.TEXT)
    if kind is None and (item := _item(schema, whole)):
        return Kind.LINES, {}, item
    return kind or Kind.JSON, {}, None


def _item(schema: Schema, whole: Schema) -> Field | None:
    """What each line is, where the schema is one of a list whose members fit on a line each."""
    if schema.get("type") != "array" or "prefixItems" in schema or not isinstance(schema.get("items"), Mapping):
        return None
    item = _field("", schema["items"], whole, True)
    if item.kind is Kind.SWITCH:
        return replace(item, kind=Kind.CHOICE, choices=choices_of([True, False]))
    return None if item.is_nullable or item.kind in _WITH_BREAKS else item


def choices_of(values: Sequence[Any]) -> dict[str, Any]:
    """The values by their texts: a string by itself where all can be told apart so, else everything as JSON."""
    plain = [value if isinstance(value, str) else json.dumps(value) for value in values]
    is_plain = len(set(plain)) == len(plain) and all(
        text.strip() == text != "" and text.isprintable() for text in plain
    )
    return dict(zip(plain if is_plain else map(json.dumps, values), values, strict=True))


def _attributes(kind: Kind, schema: Schema) -> dict[str, Any]:
    named = _NAMED.get(kind, {})
    found = {name: schema[key] for key, name in named.items() if key in schema}
    if kind is Kind.WHOLE:
        found.setdefault("step", 1)
        if isinstance(above := schema.get("exclusiveMinimum"), int):
            found["min"] = above + 1
        if isinstance(below := schema.get("exclusiveMaximum"), int):
            found["max"] = below - 1
    if kind is Kind.NUMBER:
        found.setdefault("step", "any")
    if kind is Kind.TEXT and _SAME_FOR_ALL.fullmatch(str(schema.get("pattern", ""))):
        found["pattern"] = schema["pattern"]
    return found


#: The names in HTML of what a schema demands.
_NAMED: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.WHOLE: {"minimum": "min", "maximum": "max"},
    Kind.NUMBER: {"minimum": "min", "maximum": "max"},
    Kind.TEXT: {"minLength": "minlength", "maxLength": "maxlength"},
    Kind.PASSAGE: {"minLength": "minlength"},  # how long it is, is counted otherwise where a line break is two signs
    Kind.LINES: {"minItems": "least"},
}


def _hint(kind: Kind, schema: Schema, item: Field | None) -> str:
    """What is demanded of a value, in words."""
    if kind is Kind.LINES:
        many, each = _bounds(schema, "minItems", "maxItems"), item.hint if item else ""
        one_of = f" Any of: {', '.join(item.choices)}." if item and item.choices else ""
        return f"One on each line{f', {many}' if many else ''}.{one_of}{f' Each: {each}' if each else ''}"
    said = [
        _bounds(schema, "minimum", "maximum"),
        *(_EXCLUDING[key].format(schema[key]) for key in _EXCLUDING if key in schema),
    ]
    if kind in (Kind.TEXT, Kind.PASSAGE):
        said = [f"must match {schema['pattern']}" if "pattern" in schema else ""]
    if kind in (Kind.JSON, Kind.MOMENT):
        said = ["as JSON" if kind is Kind.JSON else "in UTC"]
    whole = ", ".join(one for one in said if one)
    return f"{whole[0].upper()}{whole[1:]}." if whole else ""


_EXCLUDING: Final = {
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
}


def _bounds(schema: Schema, least: str, most: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None:
        return f"{low:,} to {high:,}" if low != high else f"exactly {low:,}"
    return f"at least {low:,}" if low is not None else "" if high is None else f"at most {high:,}"


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
