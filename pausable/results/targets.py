"""Targets, which say where a step keeps its result, and serializers, which turn results into file contents."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, Protocol

from pausable.errors import ResultUnfit, StepOptionInvalid, TargetMalformed, TargetOutside
from pausable.results.base import inside
from pausable.results.references import OWN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: How kombu.utils.json represents bytes in JSON.
_TYPE, _VALUE = "__type__", "__value__"


class Serializer(Protocol):
    """Converts a result to the content of a file and back."""

    def dump(self, text: str) -> bytes:
        """Return the content for a result. Raise ResultUnfit if it is of the wrong type."""

    def load(self, content: bytes) -> str:
        """Return the result for a content. Raise ValueError if it is not valid."""


class JsonSerializer:
    """The result as JSON; types such as dates are tagged as in Celery's messages."""

    def dump(self, text: str) -> bytes:
        """Return the JSON itself."""
        return text.encode()

    def load(self, content: bytes) -> str:
        """Return the JSON in compact form, whatever whitespace the file contains."""
        return json.dumps(json.loads(content.decode(), parse_constant=_refuse), separators=(",", ":"))


class TextSerializer:
    """A result of type str, as UTF-8."""

    def dump(self, text: str) -> bytes:
        """Return the encoded text."""
        value = json.loads(text)
        if not isinstance(value, str):
            raise ResultUnfit("text", f"it is of type {_kind(value)}, but must be a str")
        try:
            return value.encode()
        except UnicodeEncodeError as why:
            raise ResultUnfit("text", f"it contains a lone surrogate at position {why.start}") from None

    def load(self, content: bytes) -> str:
        """Return the decoded text."""
        return json.dumps(content.decode())


class BytesSerializer:
    """A result of type bytes, unchanged."""

    def dump(self, text: str) -> bytes:
        """Return the bytes."""
        value = json.loads(text)
        kind = value.get(_TYPE) if isinstance(value, dict) and value.keys() == {_TYPE, _VALUE} else None
        if kind == "base64":
            return b64decode(value[_VALUE])
        if kind == "bytes":
            return str(value[_VALUE]).encode()
        raise ResultUnfit("bytes", f"it is of type {_kind(value)}, but must be bytes")

    def load(self, content: bytes) -> str:
        """Return the bytes."""
        return json.dumps({_TYPE: "base64", _VALUE: b64encode(content).decode()}, separators=(",", ":"))


SERIALIZERS: Final[dict[str, Serializer]] = {
    "json": JsonSerializer(),
    "text": TextSerializer(),
    "bytes": BytesSerializer(),
}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _kind(value: object) -> str:
    is_tagged = isinstance(value, dict) and value.keys() == {_TYPE, _VALUE}
    return str(value[_TYPE]) if is_tagged else type(value).__name__  # type: ignore[index]


#: Fields of every target besides the parameters; `date` is the start of the operation, UTC.
FACTS: Final = ("date", "workflow", "operation_id", "step", "task_name")


@dataclass(frozen=True, slots=True)
class Target:
    """A template such as `{date:%Y-%m-%d}/{task_name}.txt` with valid syntax."""

    template: str

    def check(self, parameters: Collection[str], *, is_open: bool) -> None:
        """Raise StepOptionInvalid unless each field is a fact or a parameter.

        Args:
            parameters: The names of the function's parameters.
            is_open: Whether the function takes other keyword arguments, which may then be fields too.
        """
        fields = fields_of(self.template)
        if both := sorted(fields & set(FACTS) & set(parameters)):
            raise StepOptionInvalid(
                "target", f"has the field {{{both[0]}}}, which is also a parameter: rename the parameter"
            )
        unknown = sorted(fields - set(FACTS) - set(parameters))
        if unknown and not is_open:
            known = ", ".join((*FACTS, *parameters))
            raise StepOptionInvalid("target", f"has the unknown field {{{unknown[0]}}}: use {known}")

    def path(self, facts: Mapping[str, Any]) -> str:
        """Return the path for these facts. Raise TargetMalformed, or TargetOutside if it would leave its store."""
        try:
            path = self.template.format_map(facts)
        except KeyError as missing:
            raise TargetMalformed(self.template, f"there is no field {{{missing.args[0]}}}") from None
        except Exception as why:  # a value's own formatting may raise anything
            raise TargetMalformed(self.template, str(why) or type(why).__name__) from None
        if path.partition("/")[0] == OWN:
            raise TargetOutside(path, "is reserved for results that the service stores")
        return inside(path)


def target_of(template: object) -> Target | None:
    """Return the target for an option. Raise StepOptionInvalid if it is not a template."""
    if template is None:
        return None
    if not isinstance(template, str) or not template:
        raise StepOptionInvalid("target", f"is {template!r}: give a text such as '{{date:%Y-%m-%d}}/{{task_name}}.txt'")
    fields_of(template)
    return Target(template)


def fields_of(template: str) -> set[str]:
    """Return the names of a template's fields. Raise StepOptionInvalid for one that is not a plain name."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as why:
        raise StepOptionInvalid("target", f"is {template!r}, which is not a valid template ({why})") from None
    named = [(name, spec or "") for _, name, spec, _ in parts if name is not None]
    for name, spec in named:
        if not name.isidentifier() or "{" in spec:
            raise StepOptionInvalid("target", f"has the field {{{name}}}: use the plain name of a fact or a parameter")
    return {name for name, _ in named}
