"""The contract of a store of results, and what a path inside one may look like."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from pausable.errors import TargetOutside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Categories of Unicode that a path has nothing of: controls, halves of surrogate pairs, ends of lines.
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: What changes the direction of the text behind it: the path would be shown as another one.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Characters of a path at the most: what object stores take as the name of an object.
_LONGEST: Final = 1024


def at_any_time() -> None:
    """The guard of a write that needs none."""


class Result(ABC):
    """A store of results, each at a path with `/` between its parts.

    Nothing is ever half there: whoever reads meets the content before a write, or after it. Its methods raise
    TargetOutside for a path that would leave the store, OSError when it cannot be reached, StoreUnknown and
    StorePackageMissing when there is no such store here.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the store is, in the words that `pausable.results.remote.store_at` finds it by."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether something lies there."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """What lies there; raises FileNotFoundError when nothing does."""

    def parts(self, path: str) -> Iterator[bytes]:
        """Yield what lies there, a part at a time; raises as `read` does."""
        yield self.read(path)

    @abstractmethod
    def write(self, path: str, content: bytes, *, guard: Callable[[], None] = at_any_time) -> None:
        """Put the content there, in the place of what was; `guard` is called right before it can be seen.

        What the guard raises is raised, and nothing was written then.
        """

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Put the content there where nothing is; False when something is, which stays. One of several at once wins."""

    @abstractmethod
    def remove_all(self, folder: str) -> bool:
        """Remove all that lies under a path; False when there was nothing."""

    def place(self, path: str) -> str:
        """The path in words for people: with the store that it is in."""
        return f"{self.location.rstrip('/')}/{path}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.location == other.location

    def __hash__(self) -> int:
        return hash(self.location)


def inside(path: str) -> str:
    """The path, which stays inside its store. Raises TargetOutside."""
    if fault := _fault(path):
        raise TargetOutside(path, fault)
    return path


def _fault(path: str) -> str | None:
    if path.startswith("/"):
        return "begins with '/': targets are inside their store"
    parts = path.split("/")
    if {"..", "."} & set(parts):
        return "holds '.' or '..', which lead elsewhere"
    if "" in parts:
        return "has an empty part"
    if "\\" in path:
        return "holds a backslash, which separates folders on some systems: use '/'"
    if unseen := next((sign for sign in path if _is_unseen(sign)), None):
        return f"holds the character U+{ord(unseen):04X}, which is not shown, or changes how the rest is shown"
    return f"is longer than {_LONGEST} bytes" if len(path.encode(errors="replace")) > _LONGEST else None


def _is_unseen(sign: str) -> bool:
    return unicodedata.category(sign) in _UNSEEN or sign in _TURNING
