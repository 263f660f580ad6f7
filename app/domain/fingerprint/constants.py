"""Constants in a form that is the same in every process: sets in order, and nothing that tells an address."""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type(...))
#: Items of a container, and how deep, that are looked at.
MANY: Final = 1000
DEEP: Final = 8


def written(value: Any, depth: int = 0) -> str | None:
    """A constant in words; None of a value that is none: what it is, its code tells."""
    if type(value) in _PLAIN:
        return f"{type(value).__name__} {value!r}"
    if depth >= DEEP:
        return None
    if type(value) in (tuple, list):
        return f"{type(value).__name__} {[_part(one, depth) for one in value[:MANY]]}"
    if type(value) in (set, frozenset):
        return f"{type(value).__name__} {sorted(_part(one, depth) for one in value)[:MANY]}"
    if type(value) is dict:
        return f"dict {[(_part(key, depth), _part(one, depth)) for key, one in list(value.items())[:MANY]]}"
    return None


def _part(value: Any, depth: int) -> str:
    return written(value, depth + 1) or f"a {type(value).__qualname__}"


@lru_cache(maxsize=1024)
def literals_of(module: str) -> Mapping[str, tuple[str, ...]]:
    """The names of a module that its code sets to literals, and these: what changes while it runs is not looked at."""
    loader = getattr(sys.modules.get(module), "__loader__", None)
    try:
        code = loader.get_code(module)  # type: ignore[union-attr] # what has none raises, as do others
    except Exception:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, literal in _literals(code) if code else ():
        found[name] = (*found.get(name, ()), literal)
    return found


def _literals(code: CodeType) -> Iterator[tuple[str, str]]:
    for one, following in pairwise(dis.get_instructions(code)):
        if one.opname == "LOAD_CONST" and following.opname == "STORE_NAME":
            literal = written(one.argval)
            if literal is not None and not str(following.argval).startswith("__"):
                yield following.argval, literal
