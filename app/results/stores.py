"""Finding the store that a URL names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from app.results.base import Result
from app.results.local import LocalResult
from app.results.remote import RemoteResult

if TYPE_CHECKING:
    from pathlib import Path

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_HERE: Final = ("file", "local")


def store_at(where: str | Path | Result) -> Result:
    """The store at a URL, or in a folder; nothing is asked of it yet. A store is itself."""
    if isinstance(where, Result):
        return where
    text = str(where)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return LocalResult(text)
    if scheme[0].lower() in _HERE:
        return LocalResult(unquote(text.partition("://")[2]))
    return RemoteResult(scheme[0].lower() + text[scheme.end() :])
