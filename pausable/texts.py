"""Texts that come from outside: which of them can be stored, how much of each is kept, and numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Characters that are kept of a message, of a traceback, and of the reason of a pause.
MESSAGE: Final = 8 * 1024
TRACEBACK: Final = 32 * 1024
REASON: Final = 1000
#: Characters of a line that a program prints.
LINE: Final = 32 * 1024
#: Characters of a name, such as that of a kind of error.
NAME: Final = 200
#: Faults of one request that are named.
FAULTS: Final = 50


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


def named_faults(faults: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the first faults of a request with their texts cut, and in a last one how many more there are.

    Whoever sends a body chooses the names in it: without a bound, the answer is several times as long as the body.
    """
    found = list(faults)
    named = [
        dict(one) | {"field": cut(one["field"], NAME), "message": cut(one["message"], REASON)} for one in found[:FAULTS]
    ]
    if more := found[FAULTS:]:
        named.append(dict(more[0]) | {"field": "", "message": f"{len(more):,} more faults are not named"})
    return named


def storable_parts(value: Any) -> Any:
    """Return parameters of a statement with each text in them `storable`; the same object where all are."""
    if isinstance(value, dict):
        made: Any = (
            {key: storable_parts(part) for key, part in value.items()} if _is_doubtful(value.values()) else value
        )
        return made
    if isinstance(value, list | tuple):
        return type(value)(map(storable_parts, value)) if _is_doubtful(value) else value
    return storable(value) if isinstance(value, str) else value


def _is_doubtful(parts: Iterable[Any]) -> bool:
    """Whether parameters are to be looked at one by one: a loop, since each statement of each step pays for it."""
    for part in parts:
        kind = part.__class__
        if kind is str:
            if not part.isascii() or "\0" in part:
                return True
        elif kind is dict or kind is list or kind is tuple:
            return True
    return False


#: Digits that the keys of both databases have room for.
_KEY_DIGITS: Final = 18


def number_in(text: str, digits: int = _KEY_DIGITS) -> int | None:
    """The number that a text of at most so many digits is, 0 or above; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
