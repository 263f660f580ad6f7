"""The console's own files: each address names the file's content, so that a browser may keep it for good."""

from __future__ import annotations

import hashlib
from functools import cache

from flask import url_for

from app.web.pages import STATIC


def static_url(name: str) -> str:
    """The address of a file under `static`."""
    return url_for("pages.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
