"""Texts from outside: which characters can be stored, how much is kept, and limits on numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Maximum characters kept of a message, of a traceback, and of the reason of a pause.
MESSAGE: Final = 8 * 1024
TRACEBACK: Final = 32 * 1024
REASON: Final = 1000
#: Maximum characters of a line that a program prints.
LINE: Final = 32 * 1024
#: Maximum characters of a name, such as an error's class.
NAME: Final = 200
#: Maximum faults of one request that are listed.
FAULTS: Final = 50


def storable(text: str) -> str:
    r"""Return the text as every database and encoding accepts it.

    A NUL, which PostgreSQL refuses, and lone surrogates, which UTF-8 cannot encode, are written as Python escapes:
    `\x00`, `\ud83d`. Other control characters are kept and made visible when shown.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode(errors="backslashreplace").decode()
    return text.replace("\0", "\\x00") if "\0" in text else text


def cut(text: str, most: int = MESSAGE) -> str:
    """Return the text, cut to `most` characters with a note of the full length."""
    return text if len(text) <= most else f"{text[:most]}… cut: {len(text):,} characters in all"


def named_faults(faults: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the first faults of a request with their texts cut, and a last one with the number of the others.

    The sender chooses the names in a body: without a limit, the answer could be several times as long as the body.
    """
    found = list(faults)
    named = [
        dict(one) | {"field": cut(one["field"], NAME), "message": cut(one["message"], REASON)} for one in found[:FAULTS]
    ]
    if more := found[FAULTS:]:
        named.append(dict(more[0]) | {"field": "", "message": f"{len(more):,} more faults are not listed"})
    return named


def storable_parts(value: Any) -> Any:
    """Return statement parameters with each text `storable`; the same object if nothing changes."""
    if isinstance(value, dict):
        made: Any = (
            {key: storable_parts(part) for key, part in value.items()} if _is_doubtful(value.values()) else value
        )
        return made
    if isinstance(value, list | tuple):
        return type(value)(map(storable_parts, value)) if _is_doubtful(value) else value
    return storable(value) if isinstance(value, str) else value


def _is_doubtful(parts: Iterable[Any]) -> bool:
    """Return whether parameters need a check one by one; a plain loop, since each statement pays for it."""
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
