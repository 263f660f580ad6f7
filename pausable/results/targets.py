"""Targets: where a step keeps its result; and serializers: how a result becomes the content of a file."""

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

#: kombu.utils.json: how bytes stand in the JSON that Celery's messages are made of.
_TYPE, _VALUE = "__type__", "__value__"


class Serializer(Protocol):
    """Turns a result into the content of a file, and back."""

    def dump(self, text: str) -> bytes:
        """The content for a result; raises ResultUnfit for one that it cannot hold."""

    def load(self, content: bytes) -> str:
        """The result that the content stands for; raises ValueError when it stands for none."""


class JsonSerializer:
    """The result as JSON; what JSON has no word for, such as a date, stands in it as in Celery's messages."""

    def dump(self, text: str) -> bytes:
        """The JSON itself."""
        return text.encode()

    def load(self, content: bytes) -> str:
        """The JSON, written as the table has it: whatever wrote the file may have put blanks between its parts."""
        return json.dumps(json.loads(content.decode(), parse_constant=_refuse), separators=(",", ":"))


class TextSerializer:
    """The result, which must be a text, as UTF-8."""

    def dump(self, text: str) -> bytes:
        """The text."""
        value = json.loads(text)
        if not isinstance(value, str):
            raise ResultUnfit("text", f"it is of the type {_kind(value)}, and must be a str")
        try:
            return value.encode()
        except UnicodeEncodeError as why:
            raise ResultUnfit("text", f"it holds half a character at position {why.start}") from None

    def load(self, content: bytes) -> str:
        """The text."""
        return json.dumps(content.decode())


class BytesSerializer:
    """The result, which must be bytes, as they are."""

    def dump(self, text: str) -> bytes:
        """The bytes."""
        value = json.loads(text)
        kind = value.get(_TYPE) if isinstance(value, dict) and value.keys() == {_TYPE, _VALUE} else None
        if kind == "base64":
            return b64decode(value[_VALUE])
        if kind == "bytes":
            return str(value[_VALUE]).encode()
        raise ResultUnfit("bytes", f"it is of the type {_kind(value)}, and must be bytes")

    def load(self, content: bytes) -> str:
        """The bytes."""
        return json.dumps({_TYPE: "base64", _VALUE: b64encode(content).decode()}, separators=(",", ":"))


SERIALIZERS: Final[dict[str, Serializer]] = {
    "json": JsonSerializer(),
    "text": TextSerializer(),
    "bytes": BytesSerializer(),
}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _kind(value: object) -> str:
    is_tagged = isinstance(value, dict) and value.keys() == {_TYPE, _VALUE}
    return str(value[_TYPE]) if is_tagged else type(value).__name__  # type: ignore[index]


#: The fields that every target may have, whatever its step is called with; `date` is the operation's start, UTC.
FACTS: Final = ("date", "workflow", "operation_id", "step", "task_name")


@dataclass(frozen=True, slots=True)
class Target:
    """A template such as `{date:%Y-%m-%d}/{task_name}.txt`, its syntax checked."""

    template: str

    def check(self, parameters: Collection[str], *, is_open: bool) -> None:
        """See that each field is a fact or a parameter; where the function takes others too, any may be one.

        Raises StepOptionInvalid.
        """
        fields = fields_of(self.template)
        if both := sorted(fields & set(FACTS) & set(parameters)):
            raise StepOptionInvalid("target", f"has the field {{{both[0]}}}, which is a parameter too: rename that")
        unknown = sorted(fields - set(FACTS) - set(parameters))
        if unknown and not is_open:
            known = ", ".join((*FACTS, *parameters))
            raise StepOptionInvalid("target", f"has the field {{{unknown[0]}}}, and may have {known}")

    def path(self, facts: Mapping[str, Any]) -> str:
        """The path that these facts give. Raises TargetMalformed, and TargetOutside where it leaves its store."""
        try:
            path = self.template.format_map(facts)
        except KeyError as missing:
            raise TargetMalformed(self.template, f"there is no field {{{missing.args[0]}}}") from None
        except Exception as why:  # a value may bring code of its own that tells how it is written
            raise TargetMalformed(self.template, str(why) or type(why).__name__) from None
        if path.partition("/")[0] == OWN:
            raise TargetOutside(path, "is where the service keeps results of its own")
        return inside(path)


def target_of(template: object) -> Target | None:
    """The target that an option asks for. Raises StepOptionInvalid when that is no template."""
    if template is None:
        return None
    if not isinstance(template, str) or not template:
        raise StepOptionInvalid("target", f"is {template!r}: give a text such as '{{date:%Y-%m-%d}}/{{task_name}}.txt'")
    fields_of(template)
    return Target(template)


def fields_of(template: str) -> set[str]:
    """The names of a template's fields. Raises StepOptionInvalid for one that is no plain name."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as why:
        raise StepOptionInvalid("target", f"is {template!r}, which is no template ({why})") from None
    named = [(name, spec or "") for _, name, spec, _ in parts if name is not None]
    for name, spec in named:
        if not name.isidentifier() or "{" in spec:
            raise StepOptionInvalid(
                "target", f"has the field {{{name}}}: name a fact or a parameter, and no part of one"
            )
    return {name for name, _ in named}
