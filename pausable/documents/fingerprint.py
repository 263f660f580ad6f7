"""Fingerprints of functions, made from their syntax trees: the same for all versions of Python that can parse them.

A tree is written in a form of its own, without positions, annotations, docstrings and the names of local variables.
"""

from __future__ import annotations

import ast
import dis
import functools
import hashlib
import inspect
import linecache
import sys
import sysconfig
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from pausable.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    #: Return what a value hands its calls on to: a function, or a text if only a name is to be compared.
    Unwrap = Callable[[Any], Any]

#: The kind of fingerprints that this module makes. Raise it with each change of the form: otherwise all code would
#: seem to have changed. Fingerprints of other kinds are not compared.
TAG: Final = "ast/2"
#: The packages of the service, and the part of them that is read like the workflows of any project. Where the service
#: is installed it is `pausable.app`, and a package `app` is the project's.
_SERVICE: Final = frozenset({"pausable"} if (Path(__file__).parents[1] / "app").is_dir() else {"app", "pausable"})
_SHIPPED: Final = "pausable.workflows.shipped."
#: Folders in which libraries are installed.
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_PLACES: Final = tuple(
    Path(place)
    for name, place in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type(...))
#: Items of a container, and how deep, that are looked at.
MANY: Final = 1000
DEEP: Final = 8
#: Functions and classes that are read at most.
_MOST: Final = 500
_MISSING: Final = object()

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
#: Fields that hold the name of a variable, by the nodes that bind it.
_BINDING: Final[dict[type, str]] = {
    ast.FunctionDef: "name", ast.AsyncFunctionDef: "name", ast.ClassDef: "name", ast.ExceptHandler: "name",
    ast.MatchAs: "name", ast.MatchStar: "name", ast.MatchMapping: "rest", ast.alias: "asname",
}  # fmt: skip
#: Fields that say nothing of what code does, or that only some versions of Python have.
_UNSEEN: Final = frozenset({"annotation", "returns", "type_comment", "type_params", "ctx"})
#: Instructions that look a name up in a module.
_GLOBAL: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"})


def is_own(function: FunctionType, *, is_shipped: bool) -> bool:
    """Whether a function is the project's own. Those of shipped workflows are, if `is_shipped`."""
    return _is_own_module(str(function.__module__), is_shipped) and _is_own_file(function.__code__.co_filename)


def is_own_class(kind: type, *, is_shipped: bool) -> bool:
    """Whether a class is the project's own."""
    module = str(kind.__module__)
    if module.partition(".")[0] in sys.stdlib_module_names or not _is_own_module(module, is_shipped):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or _is_own_file(file)


def _is_own_module(module: str, is_shipped: bool) -> bool:
    return module.partition(".")[0] not in _SERVICE or (is_shipped and module.startswith(_SHIPPED))


@lru_cache(maxsize=4096)
def _is_own_file(name: str) -> bool:
    if name.startswith("<"):  # frozen modules are Python's own; what was typed or generated is the project's
        return not name.startswith("<frozen")
    path = Path(name).absolute()
    return not _INSTALLED.intersection(path.parts) and not any(path.is_relative_to(place) for place in _PLACES)


def written(value: Any, depth: int = 0) -> str | None:
    """Return a constant as text; None for a value that is none."""
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


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of code: its functions by name and first line, as trees and as compiled, and the literals of its names."""

    trees: defaultdict[tuple[str, int], list[Any]]
    codes: defaultdict[tuple[str, int], list[CodeType]]
    literals: defaultdict[str, list[str | None]]


@lru_cache(maxsize=256)
def _parsed(text: str) -> _Source:
    source = _Source(defaultdict(list), defaultdict(list), defaultdict(list))
    with suppress(SyntaxError, ValueError, RecursionError):  # the file has been edited, or is no Python
        tree, codes = ast.parse(text), [compile(text, "", "exec", dont_inherit=True)]
        for code in codes:
            source.codes[code.co_name, code.co_firstlineno].append(code)
            codes.extend(_within(code))
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                first = min(one.lineno for one in (node, *getattr(node, "decorator_list", ())))
                source.trees[getattr(node, "name", "<lambda>"), first].append(node)
        _read_literals(tree, source.literals)
    return source


def _within(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _read_literals(tree: ast.Module, literals: defaultdict[str, list[str | None]]) -> None:
    nodes: list[Any] = [tree]
    for node in nodes:
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            nodes.extend(ast.iter_child_nodes(node))
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        for target in targets if isinstance(node, ast.Assign | ast.AnnAssign) else ():
            if isinstance(target, ast.Name) and not target.id.startswith("__"):
                with suppress(ValueError, TypeError):  # it is no literal
                    literals[target.id].append(written(ast.literal_eval(node.value or target)))


def keep_source(function: FunctionType) -> None:
    """Keep the file of a function as it is now, soon after it was loaded: it may be edited later."""
    linecache.lazycache(function.__code__.co_filename, function.__globals__)
    linecache.getlines(function.__code__.co_filename)


def _source_of(file: str, names: Mapping[str, Any]) -> _Source:
    linecache.lazycache(file, dict(names))
    return _parsed("".join(linecache.getlines(file)))


def _trees_of(function: FunctionType) -> tuple[list[Any], list[CodeType]]:
    """Return the tree of a function and its code, of all lambdas of a line if it is one of these; none if not known.

    A source that does not compile to the code of the function is not its source: the file has been edited since.
    """
    code = function.__code__
    for is_read_again in (False, True):
        if is_read_again:
            linecache.checkcache(code.co_filename)
        source = _source_of(code.co_filename, function.__globals__)
        codes = source.codes.get((code.co_name, code.co_firstlineno), [])
        if code in codes:
            return source.trees[code.co_name, code.co_firstlineno], list(codes)
    return [], []


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
    """Read a function, and everything of its own project that it calls, directly or not.

    A function whose source cannot be had (it was typed into a console, made by `exec`, or its file was edited after it
    had been loaded) is read as bytecode: it has another fingerprint in each version of Python.

    Args:
        function: The function. The wrapper of a library's decorator is passed over.
        unwrap: Called with each value that the code names; returns the function behind it.
        kinds: Classes whose methods the function may call on its first argument.

    Returns:
        The reading; None for a function of a library, of Python or of this service, which have versions of their own.
    """
    is_shipped = str(inspect.unwrap(function).__module__).startswith(_SHIPPED)
    while not is_own(function, is_shipped=is_shipped):
        wrapped = inspect.getattr_static(function, "__wrapped__", None)
        if type(wrapped) is not FunctionType:
            return None
        function = wrapped
    reader = _Reader(unwrap, is_shipped=is_shipped)
    reader.read(function, [kind for kind in kinds if is_own_class(kind, is_shipped=is_shipped)])
    return Reading(reader.digest.hexdigest(), frozenset(reader.secrets), tuple(reader.found))


class _Reader(ast.NodeVisitor):
    """Writes what it meets into a digest, each function and class once, in the order in which they are met.

    `visit` returns what a node stands for, if it is a name of a module.
    """

    def __init__(self, unwrap: Unwrap, *, is_shipped: bool) -> None:
        self._unwrap = unwrap
        self._is_shipped = is_shipped
        self._met: dict[int, tuple[int, object]] = {}
        self._to_read: deque[FunctionType | type] = deque()
        #: Of the function that is being read: its globals, the names that it takes from these, and its local variables.
        self._globals: Mapping[str, Any] = {}
        self._loaded: set[str] = set()
        self._locals: set[str] = set()
        self._numbers: dict[str, int] = {}
        self.digest = hashlib.sha256()
        self.secrets: set[str] = set()
        self.found: list[tuple[Mapping[str, Any], str, Any]] = []

    def read(self, function: FunctionType, kinds: Iterable[type]) -> None:
        self._enter(function)
        for kind in kinds:
            self._enter(kind)
        while self._to_read:
            one = self._to_read.popleft()
            self._function(one) if isinstance(one, FunctionType) else self._class(one)

    def _write(self, *parts: object) -> None:
        self.digest.update(f"{parts!r}\n".encode(errors="backslashreplace"))

    def _enter(self, one: FunctionType | type) -> None:
        if id(one) not in self._met and len(self._met) < _MOST:
            self._met[id(one)] = len(self._met), one  # kept, so that no other object gets its id
            self._to_read.append(one)
        self._write("calls", self._met.get(id(one), (None,))[0])

    def _function(self, function: FunctionType) -> None:
        code, self._globals = function.__code__, function.__globals__
        flags = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + flags.bit_count()]
        self._write("function", code.co_argcount, code.co_posonlyargcount, flags, parameters)
        for name, value in (*enumerate(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())):
            self._write("default", name)
            self._value(value)
        if function.__name__.startswith("__") and code.co_filename.startswith("<"):
            return  # made by `dataclass` or the like of the fields of its class: its parameters tell these
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._write("closure", name)
            with suppress(ValueError):  # it is empty
                self._value(cell.cell_contents)
        trees, codes = _trees_of(function)
        self._learn_names(codes, {*code.co_freevars})
        for tree in trees:
            self._write(type(tree).__name__)
            for node in [tree.body] if isinstance(tree, ast.Lambda) else tree.body:
                self.visit(node)
        if not trees:
            self._bytecode(code)

    def _learn_names(self, codes: list[CodeType], free: set[str]) -> None:
        bound: set[str] = set()
        self._loaded, self._numbers = set(), {}
        for one in codes:
            bound.update(one.co_varnames, one.co_cellvars)
            self._loaded.update(each.argval for each in dis.get_instructions(one) if each.opname in _GLOBAL)
            codes.extend(_within(one))
        self._locals = bound - self._loaded - free

    def _bytecode(self, code: CodeType) -> None:
        self._write("bytecode", sys.implementation.cache_tag, code.co_code, code.co_names, code.co_exceptiontable)
        for name in code.co_names:
            self._global(self._globals, name)
        for one in code.co_consts:
            self._bytecode(one) if isinstance(one, CodeType) else self._write(written(one))

    def _class(self, kind: type) -> None:
        self._write("class", kind.__name__)
        for name, value in self._attributes(kind):
            self._write("attribute", name)
            self._value(value)
        for base in kind.__bases__:
            self._value(base)

    def _attributes(self, kind: type) -> Iterator[tuple[str, Any]]:
        """Yield what its author has written into a class, sorted by name: each version of Python adds other things."""
        for one in getattr(kind, "__dataclass_fields__", {}).values():
            yield one.name, one.default_factory
        members = {name: one.value for name, one in kind.__members__.items()} if issubclass(kind, Enum) else {}
        for name, value in sorted({**vars(kind), **members}.items()):
            function = getattr(value, "__func__", value)
            is_special = (name.startswith("_") and name.endswith("_")) or name.startswith("__annot")
            if not is_special or (type(function) is FunctionType and is_own(function, is_shipped=self._is_shipped)):
                yield name, value

    def _variable(self, name: str | None) -> object:
        """Return the number of a local variable, in the order in which they are met; other names as they are."""
        return self._numbers.setdefault(name, len(self._numbers) + 1) if name in self._locals else name

    def generic_visit(self, node: ast.AST) -> None:
        """Write a node with those fields that say something."""
        self._write(type(node).__name__)
        for name, value in ast.iter_fields(node):
            if name in _UNSEEN or value is None or value == []:
                continue
            self._write(name)
            is_bound = name == _BINDING.get(type(node))
            for one in value if isinstance(value, list) else [value]:
                self.visit(one) if isinstance(one, ast.AST) else self._write(self._variable(one) if is_bound else one)
        self._write("end")

    def visit_Constant(self, node: ast.Constant) -> None:
        self._write(written(node.value))

    def visit_Set(self, node: ast.Set) -> None:
        if all(isinstance(one, ast.Constant) for one in node.elts):
            self._write("set", sorted(str(written(one.value)) for one in node.elts if isinstance(one, ast.Constant)))
        else:
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Write the parts, constant ones as one: versions of Python differ in how they divide these."""
        for part in node.values:
            text = part.value if isinstance(part, ast.Constant) else None
            self.visit(part) if text is None else self.digest.update(str(text).encode("unicode_escape"))
        self._write("end")

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        """Write nothing."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(ast.Assign([node.target], node.value) if node.value else node)

    def visit_Name(self, node: ast.Name) -> Any:
        self._write("name", self._variable(node.id))
        return self._global(self._globals, node.id) if node.id in self._loaded else None

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        behind = self.visit(node.value)
        self._write("of", node.attr)
        return self._global(vars(behind), node.attr) if isinstance(behind, ModuleType) else None

    def visit_Call(self, node: ast.Call) -> None:
        called = self.visit(node.func)
        self.generic_visit(ast.Tuple([*node.args, *node.keywords]))  # type: ignore[list-item] # it is only visited
        if called is Secret:
            self.secrets.update(str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant))

    def _global(self, place: Mapping[str, Any], name: str) -> Any:
        """Follow a name of a module; return what it stands for, None if it has none."""
        value = place.get(name, _MISSING)
        if value is _MISSING:
            return None
        self.found.append((place, name, value))
        self._write("literal", *self._literals(place).get(name, ()))
        self._mention(value)
        return value

    def _literals(self, place: Mapping[str, Any]) -> Mapping[str, list[str | None]]:
        module, file = str(place.get("__name__")), place.get("__file__")
        is_read = isinstance(file, str) and _is_own_module(module, self._is_shipped) and _is_own_file(file)
        return _source_of(str(file), place).literals if is_read else {}

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
