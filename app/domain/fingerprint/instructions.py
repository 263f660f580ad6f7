"""The instructions of a code object without what a moved line, a comment or a docstring changes in it.

Bytecode is each Python's own: `TAG` names whose it is, and fingerprints of two of them cannot be compared.
"""

from __future__ import annotations

import dis
import inspect
import sys
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

#: How fingerprints are made; to be raised by each change of that, or all code would seem to have changed.
_WAY: Final = 1
#: Which Python's bytecode it is that fingerprints are made of, and in which way.
TAG: Final = f"{sys.implementation.cache_tag or sys.implementation.name}/{_WAY}"
#: Instructions that do nothing: the compiler leaves one where a line of its own would be lost to a debugger.
_IDLE: Final = frozenset({"NOP", "EXTENDED_ARG", "CACHE"})
_JUMPS: Final = frozenset({*dis.hasjrel, *dis.hasjabs})
_CONSTANTS: Final = frozenset(dis.hasconst)
_BY_VALUE: Final = frozenset({*dis.hasconst, *dis.hasname, *dis.hasfree})
#: What of a code object's flags is of its meaning, and not of how it was compiled.
_MEANING: Final = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction and what it works on: a name, a constant, a place among the instructions, a number."""

    does: str
    on: Any
    is_constant: bool = False


def head_of(code: CodeType) -> tuple[Any, ...]:
    """How a code object is called: how many parameters of which kind, their names, and what calling it gives."""
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    many = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
    names = code.co_varnames[: many + bool(code.co_flags & inspect.CO_VARKEYWORDS)]
    return (*counts, code.co_flags & _MEANING, names)


def body_of(code: CodeType) -> tuple[list[Instruction], list[tuple[int, ...]]]:
    """The instructions that do something, and which of them are watched for exceptions, which one goes on with these.

    Places among them, as of jumps, are counted in instructions.
    """
    doing = [one for one in dis.get_instructions(code) if one.opname not in _IDLE]
    offsets = [one.offset for one in doing]
    instructions = [Instruction(one.opname, _on(one, offsets), one.opcode in _CONSTANTS) for one in doing]
    return instructions, list(_watched(code, offsets)) if code.co_exceptiontable else []


def _watched(code: CodeType, offsets: list[int]) -> Iterator[tuple[int, ...]]:
    entries: Any = getattr(dis.Bytecode(code), "exception_entries", ())
    for entry in entries:
        places = (bisect_left(offsets, offset) for offset in (entry.start, entry.end, entry.target))
        yield (*places, entry.depth, int(entry.lasti))


def _on(one: dis.Instruction, offsets: list[int]) -> Any:
    if one.opcode in _BY_VALUE:
        return one.argval
    if one.opcode in _JUMPS:
        return bisect_left(offsets, one.argval)
    return one.arg
