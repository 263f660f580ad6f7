"""A form of a JSON Schema: which fields it has. What is typed into them, and back, is in `typed`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


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
