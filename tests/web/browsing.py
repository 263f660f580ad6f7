"""Somebody who uses the console without scripts: it follows where answers lead, and fills in the forms it was given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any

from flask import g

from tests.web.serving import token_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

#: What would run in a page that took it for more than text.
SCRIPT = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>"


@dataclass
class Visitor:
    """A browser's cookies, and the page that it shows."""

    app: Flask

    def __post_init__(self) -> None:
        self.client = self.app.test_client()
        self.page: TestResponse | None = None

    def see(self, address: str, **headers: str) -> TestResponse:
        self.page = self._send("GET", address, headers=headers)
        return self.page

    def post(self, address: str, **fields: Any) -> TestResponse:
        """Send a form with the key that keeps other sites' forms out, as the page has it."""
        self.page = self._send("POST", address, data={"csrf_token": self.key(), **fields})
        return self.page

    def _send(self, method: str, address: str, **given: Any) -> TestResponse:
        for kept in ("csrf_token", "csrf_valid"):
            g.pop(kept, None)  # pytest-flask has all requests of a test share one context
        return self.client.open(address, method=method, **{"buffered": True, **given})

    def follow(self) -> TestResponse:
        """Go where the last answer led, and on to the page that this leads to."""
        assert self.page is not None
        assert self.page.status_code in (302, 303), self.page.text
        while self.page.status_code in (302, 303):
            self.see(self.page.headers["Location"])
        return self.page

    def key(self) -> str:
        assert self.page is not None
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page.text)
        assert found, self.page.text
        return found[1]

    def said(self) -> list[str]:
        """What the page tells of what was done."""
        assert self.page is not None
        return [unescape(text) for text in re.findall(r'class="notice \w+" role="\w+">(.*?)</p>', self.page.text)][1:]

    def sign_in(self, name: str) -> Visitor:
        self.see("/console/sign-in")
        assert self.post("/console/sign-in", token=token_of(name)).status_code == 303
        return self


def rows(page: str) -> list[int]:
    """The ids of the operations that a list shows, in its order."""
    return [int(one) for one in re.findall(r'id="operation-(\d+)"', page)]


def number(address: str) -> int:
    """The id of the operation at this address."""
    return int(address.rpartition("/")[2])
