"""How a result becomes the content of a file, and is read back. There is no pickle: reading one runs its code.

A result is met as the table has it, JSON text, in which bytes are an object of a type and a value (kombu's form).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Final, Protocol

from app.errors import ResultUnfit

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
