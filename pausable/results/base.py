"""The contract of a result store, and which paths it accepts."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from pausable.errors import TargetOutside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Unicode categories that a path must not contain: controls, surrogates, line separators.
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: Bidirectional controls, which would display the path as another one.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Maximum length of a path in bytes: the limit of object stores.
_LONGEST: Final = 1024


def at_any_time() -> None:
    """Do nothing: the guard of a write that needs none."""


class Result(ABC):
    """A store of results, each at a path with `/` as separator.

    Writes are atomic: readers see the content before or after. Methods raise TargetOutside for a path outside the
    store, OSError if the store cannot be reached, and StoreUnknown or StorePackageMissing if it is not available here.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """Return the location by which `pausable.results.remote.store_at` finds the store."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Return whether a result exists at the path."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return the content. Raise FileNotFoundError if there is none."""

    def parts(self, path: str) -> Iterator[bytes]:
        """Yield the content in parts. Raise as `read` does."""
        yield self.read(path)

    @abstractmethod
    def write(self, path: str, content: bytes, *, guard: Callable[[], None] = at_any_time) -> None:
        """Write or replace the content atomically.

        Args:
            path: Where to write, relative to the store.
            content: The bytes.
            guard: Called right before the content becomes visible; what it raises is raised, and nothing was written.
        """

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Write the content if the path is free, and return whether it was; of concurrent calls one succeeds."""

    @abstractmethod
    def remove_all(self, folder: str) -> bool:
        """Remove everything below a path; return False if there was nothing."""

    def place(self, path: str) -> str:
        """Return the path with its store, for messages."""
        return f"{self.location.rstrip('/')}/{path}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.location == other.location

    def __hash__(self) -> int:
        return hash(self.location)


def inside(path: str) -> str:
    """Return the path. Raise TargetOutside if it would leave its store."""
    if fault := _fault(path):
        raise TargetOutside(path, fault)
    return path


def _fault(path: str) -> str | None:
    if path.startswith("/"):
        return "begins with '/': targets are relative to their store"
    parts = path.split("/")
    if {"..", "."} & set(parts):
        return "contains '.' or '..' as a part"
    if "" in parts:
        return "has an empty part"
    if "\\" in path:
        return "contains a backslash, a separator on some systems: use '/'"
    if unseen := next((sign for sign in path if _is_unseen(sign)), None):
        return f"contains the invisible or bidirectional character U+{ord(unseen):04X}"
    return f"is longer than {_LONGEST} bytes" if len(path.encode(errors="replace")) > _LONGEST else None


def _is_unseen(sign: str) -> bool:
    return unicodedata.category(sign) in _UNSEEN or sign in _TURNING
