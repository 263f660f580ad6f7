"""Fingerprints of functions: what their code does, whatever its comments say and wherever its lines stand."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import sys
import sysconfig
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from pausable.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: This service, and what of it is written as any project's workflows are.
_SERVICE: Final = frozenset({"app", "pausable"})
_SHIPPED: Final = "pausable.workflows.shipped."
#: Folders in which libraries are installed, wherever these are.
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_PLACES: Final = tuple(
    Path(place)
    for name, place in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def is_own(function: FunctionType, *, is_shipped: bool) -> bool:
    """Whether a function is the project's own; that of a shipped workflow is, where one of these is looked at."""
    return _is_own_module(str(function.__module__), is_shipped) and _is_own_file(function.__code__.co_filename)


def is_own_class(kind: type, *, is_shipped: bool) -> bool:
    """Whether a class is the project's own."""
    module = str(kind.__module__)
    if module.partition(".")[0] in sys.stdlib_module_names or not _is_own_module(module, is_shipped):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or _is_own_file(file)


def is_of_shipped(function: FunctionType) -> bool:
    """Whether a function is one of the workflows that the service brings along."""
    return str(function.__module__).startswith(_SHIPPED)


def _is_own_module(module: str, is_shipped: bool) -> bool:
    return module.partition(".")[0] not in _SERVICE or (is_shipped and module.startswith(_SHIPPED))


@lru_cache(maxsize=4096)
def _is_own_file(name: str) -> bool:
    if name.startswith("<"):  # frozen modules are Python's own; what was typed or generated is the project's
        return not name.startswith("<frozen")
    path = Path(name).absolute()
    return not _INSTALLED.intersection(path.parts) and not any(path.is_relative_to(place) for place in _PLACES)


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


if TYPE_CHECKING:
    #: What stands behind a value that only hands its calls on: a function, or a text where that is all to be told.
    Unwrap = Callable[[Any], Any]

#: Functions and classes that are entered at the most.
_MOST: Final = 500
_GLOBALS: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Reading:
    """The fingerprint of a function, the secrets that it names, and where each name was found that it goes by."""

    fingerprint: str
    secrets: frozenset[str]
    found: tuple[tuple[Mapping[str, Any], str, Any], ...]

    def is_current(self) -> bool:
        """Whether all names still stand for what they stood for when the function was read."""
        return all(place.get(name, _MISSING) is value for place, name, value in self.found)


def read_code(
    function: FunctionType, unwrap: Unwrap = lambda value: value, kinds: Iterable[type] = ()
) -> Reading | None:
    """Read a function, and all that it calls of its own project, however often and in whatever circle.

    `kinds` are classes whose methods it may call on its first argument. None of a function that is a library's,
    Python's or the service's: what these do is for their own versions to say. What a library's decorator has put around
    a function is passed over.
    """
    is_shipped = is_of_shipped(inspect.unwrap(function))
    while not is_own(function, is_shipped=is_shipped):
        wrapped = inspect.getattr_static(function, "__wrapped__", None)
        if type(wrapped) is not FunctionType:
            return None
        function = wrapped
    reader = _Reader(unwrap, is_shipped=is_shipped)
    reader.read(function, [kind for kind in kinds if is_own_class(kind, is_shipped=is_shipped)])
    return Reading(reader.digest(), frozenset(reader.secrets), tuple(reader.found))


class _Reader:
    """Writes what it meets into a digest, each function and class once, in the order in which they are met."""

    def __init__(self, unwrap: Unwrap, *, is_shipped: bool) -> None:
        self._unwrap = unwrap
        self._is_shipped = is_shipped
        self._digest = hashlib.sha256()
        self._met: dict[int, tuple[int, object]] = {}
        self._to_read: deque[FunctionType | type] = deque()
        self.secrets: set[str] = set()
        self.found: list[tuple[Mapping[str, Any], str, Any]] = []

    def digest(self) -> str:
        return self._digest.hexdigest()

    def read(self, function: FunctionType, kinds: Iterable[type]) -> None:
        self._enter(function)
        for kind in kinds:
            self._enter(kind)
        while self._to_read:
            one = self._to_read.popleft()
            self._function(one) if isinstance(one, FunctionType) else self._class(one)

    def _write(self, *parts: object) -> None:
        self._digest.update(f"{parts!r}\n".encode(errors="backslashreplace"))

    def _enter(self, one: FunctionType | type) -> None:
        if id(one) not in self._met and len(self._met) < _MOST:
            self._met[id(one)] = len(self._met), one  # kept, so that no other object gets its id
            self._to_read.append(one)
        self._write("calls", self._met.get(id(one), (None,))[0])

    def _function(self, function: FunctionType) -> None:
        self._write("function")
        self._code(function.__code__, function.__globals__)
        for value in function.__defaults__ or ():
            self._value(value)
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            self._write("default", name)
            self._value(value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._write("closure", name)
            try:
                self._value(cell.cell_contents)
            except ValueError:
                self._write("empty")

    def _class(self, kind: type) -> None:
        self._write("class", kind.__name__)
        for name, value in sorted(vars(kind).items()):
            is_special = name.startswith("__") and not callable(value)
            if not is_special:
                self._write("attribute", name)
                self._value(value)
        for base in kind.__bases__:
            self._value(base)

    def _code(self, code: CodeType, names: Mapping[str, Any]) -> None:
        self._write("code", *head_of(code))
        behind: Any = None
        instructions, watched = body_of(code)
        for one in instructions:
            if one.is_constant:
                self._constant(one.does, one.on, names)
                if behind is Secret and isinstance(one.on, str):
                    self.secrets.add(one.on)
            else:
                self._write(one.does, one.on)
            if one.does != "PUSH_NULL":
                behind = self._named(one.does, one.on, names, behind)
        self._write("watched", *watched)

    def _constant(self, does: str, value: Any, names: Mapping[str, Any]) -> None:
        if isinstance(value, CodeType):
            self._code(value, names)
        else:
            self._write(does, written(value) or type(value).__qualname__)

    def _named(self, does: str, name: Any, names: Mapping[str, Any], behind: Any) -> Any:
        """Follow a name, or that of a module's own behind it; returns what it stands for."""
        if does in _GLOBALS:
            place = names
        elif does in _ATTRIBUTES and isinstance(behind, ModuleType):
            place = vars(behind)
        else:
            return None
        value = place.get(name, _MISSING)
        if value is _MISSING:
            return None
        self.found.append((place, name, value))
        self._write("literal", *literals_of(str(place.get("__name__"))).get(name, ()))
        self._mention(value)
        return value

    def _value(self, value: Any) -> None:
        """A value that belongs to what is read: a constant, or something that may be called."""
        self._write(written(value) or type(value).__qualname__)
        self._mention(value)

    def _mention(self, value: Any, depth: int = 0) -> None:
        """Enter what may be called behind a value, if it is the project's own."""
        value = self._unwrapped(value)
        kind = type(value)  # `isinstance` would ask a stand-in what it stands for
        if kind is Secret:
            self.secrets.add(value.name)
        elif kind is str:
            self._write("named", value)
        elif kind is FunctionType and is_own(value, is_shipped=self._is_shipped):
            self._enter(value)
        elif issubclass(kind, type):
            if is_own_class(value, is_shipped=self._is_shipped):
                self._enter(value)
        elif kind is not ModuleType and depth < DEEP:
            self._mention_parts(value, depth + 1)

    def _mention_parts(self, value: Any, depth: int) -> None:
        if type(value) is functools.partial:
            self._write("given", written(value.args), written(value.keywords))
        parts = list(_parts(value))
        for part in parts[:MANY]:
            self._mention(part, depth)
        if not parts and is_own_class(type(value), is_shipped=self._is_shipped):
            self._enter(type(value))

    def _unwrapped(self, value: Any) -> Any:
        if type(value) is str:  # a text is a value; only in the place of something else does it stand for a name
            return None
        try:
            return self._unwrap(value)
        except Exception:  # a stand-in for something that is not there now may raise anything
            return None


def _parts(value: Any) -> Iterator[Any]:
    """Yield what a value hands its calls on to, or holds."""
    kind = type(value)
    if kind in (MethodType, staticmethod, classmethod):
        yield value.__func__
    elif kind is property:
        yield from filter(None, (value.fget, value.fset, value.fdel))
    elif kind is functools.cached_property:
        yield value.func
    elif kind is functools.partial:
        yield from (value.func, *value.args, *value.keywords.values())
    elif kind in (list, tuple):
        yield from value
    elif kind is dict:
        yield from value.values()
    elif type(wrapped := inspect.getattr_static(value, "__wrapped__", None)) is FunctionType:
        yield wrapped
