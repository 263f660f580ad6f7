"""How deep JSON may be nested: one bound for workflow.json, and a smaller one for each value that it holds."""

from __future__ import annotations

from typing import Final

#: How deep workflow.json may be nested; its reader refuses more.
DEEPEST: Final = 500
#: How deep a value of an author's may be nested. A document puts at most 200 levels around it: 100 of groups that stand
#: within each other (`links.MAX_DEPTH`), and some of its own. Code that walks through a value fits into Python's stack.
DEEPEST_VALUE: Final = 300

_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b'[]{}"'))


def is_nested_deeper(text: str, deepest: int) -> bool:
    """Return whether JSON is nested more than `deepest` deep.

    The time is linear in the text, and a small part of what it takes to write it.
    """
    if text.count("[") + text.count("{") <= deepest:
        return False
    plain = text.encode(errors="replace").replace(rb"\\", b"").replace(rb"\"", b"")
    left = plain.translate(_BRACKETS, _OTHERS).replace(b'""', b"")  # between quotes remain texts with brackets
    brackets = b"".join(left.split(b'"')[::2])
    for _ in range(deepest):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
