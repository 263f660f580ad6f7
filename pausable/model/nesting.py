"""Limits of JSON nesting: one for workflow.json, and a smaller one for each value in it."""

from __future__ import annotations

from typing import Final

#: Maximum nesting of workflow.json; its reader refuses more.
DEEPEST: Final = 500
#: Maximum nesting of an author's value. A document adds at most 200 levels: 100 of nested groups (`reader.MAX_DEPTH`),
#: and some of its own. Recursive code over a value fits into Python's stack.
DEEPEST_VALUE: Final = 300

_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b'[]{}"'))


def is_nested_deeper(text: str, deepest: int) -> bool:
    """Return whether JSON is nested deeper than `deepest`.

    The time is linear in the length of the text, and small compared to writing it.
    """
    if text.count("[") + text.count("{") <= deepest:
        return False
    plain = text.encode(errors="replace").replace(rb"\\", b"").replace(rb"\"", b"")
    left = plain.translate(_BRACKETS, _OTHERS).replace(b'""', b"")  # strings with brackets remain in quotes
    brackets = b"".join(left.split(b'"')[::2])
    for _ in range(deepest):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
