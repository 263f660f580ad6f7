"""Compressing the service's own files. Pages are not: with a secret in one, its length would tell of it (BREACH)."""

from __future__ import annotations

import gzip
from functools import lru_cache
from typing import Final

from flask import Response, request

_TEXTS: Final = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml", "text/html"})
#: Bytes from which it is worth it.
_SMALLEST: Final = 1024


def compress(response: Response) -> None:
    """Compress a file that is a text, for those who take it so; each is compressed once."""
    response.vary.add("Accept-Encoding")
    if response.mimetype not in _TEXTS or not request.accept_encodings["gzip"]:
        return
    file, response.direct_passthrough = response.response, False
    content = response.get_data()
    getattr(file, "close", lambda: None)()  # what it is replaced by closes nothing
    if len(content) >= _SMALLEST:
        response.set_data(_compressed(content))
        response.headers["Content-Encoding"] = "gzip"


@lru_cache(maxsize=64)
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)
