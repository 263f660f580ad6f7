"""Whose code it is: the project's own, or that of a library, of Python, or of this service."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FunctionType

#: This service, and what of it is written as any project's workflows are.
_SERVICE: Final = "app"
_SHIPPED: Final = "app.workflows."
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
    return module.partition(".")[0] != _SERVICE or (is_shipped and module.startswith(_SHIPPED))


@lru_cache(maxsize=4096)
def _is_own_file(name: str) -> bool:
    if name.startswith("<"):  # frozen modules are Python's own; what was typed or generated is the project's
        return not name.startswith("<frozen")
    path = Path(name).absolute()
    return not _INSTALLED.intersection(path.parts) and not any(path.is_relative_to(place) for place in _PLACES)
