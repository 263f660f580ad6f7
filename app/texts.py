"""Texts of other people and of authors' code: which of them can be kept, and how much of each."""

from __future__ import annotations

from typing import Any, Final

#: Characters that are kept of a message, of a traceback, and of the reason of a pause.
MESSAGE: Final = 8 * 1024
TRACEBACK: Final = 32 * 1024
REASON: Final = 1000
#: Characters of a line that a program prints.
LINE: Final = 32 * 1024
#: Characters of a name, such as that of a kind of error.
NAME: Final = 200


def storable(text: str) -> str:
    r"""Return the text as every database and every encoding takes it.

    A NUL, which PostgreSQL takes in no text, and half a surrogate, which UTF-8 has no bytes for, are written as Python
    writes them: `\x00`, `\ud83d`. All else is kept, control characters too: what shows the text makes them visible.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode(errors="backslashreplace").decode()
    return text.replace("\0", "\\x00") if "\0" in text else text


def cut(text: str, most: int = MESSAGE) -> str:
    """Return the text, or so many characters of a longer one and how many it has in all."""
    return text if len(text) <= most else f"{text[:most]}… cut: {len(text):,} characters in all"


def storable_parts(value: Any) -> Any:
    """Return parameters of a statement with each text in them `storable`; the same object where all are."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        changed = {key: new for key, part in value.items() if (new := storable_parts(part)) is not part}
        return {**value, **changed} if changed else value
    if isinstance(value, list | tuple):
        parts = [storable_parts(part) for part in value]
        return value if all(one is part for one, part in zip(parts, value, strict=True)) else type(value)(parts)
    return value
