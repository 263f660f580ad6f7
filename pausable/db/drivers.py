"""The driver of PostgreSQL, which comes with the extra `postgres`."""

from __future__ import annotations

from types import ModuleType
from typing import Any


class _Absent(ModuleType):
    """Stands in the place of a driver that is not installed: a module of classes that no error is an instance of."""

    @property
    def errors(self) -> _Absent:
        """The classes of errors."""
        return self

    def __getattr__(self, name: str) -> Any:
        members = {"__class_getitem__": classmethod(lambda cls, _types: cls)}
        self.__dict__[name] = type(name, (Exception,), members)
        return self.__dict__[name]


try:
    import psycopg as psycopg
except ImportError:
    psycopg = _Absent("psycopg")

HAS_POSTGRESQL = not isinstance(psycopg, _Absent)
