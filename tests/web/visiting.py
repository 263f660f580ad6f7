"""Visiting the console as somebody: pages, their forms, and sending these as a browser would.

A test that visits names no fixture `app` or `client`: pytest-flask would keep one context open for all its requests, in
which what belongs to one of them is found by the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from tests.web.serving import token_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.web.serving import Served


@dataclass
class Form:
    """A form of a page: where it goes, and what it sends, in order."""

    action: str
    sends: list[tuple[str, str]] = field(default_factory=list)

    def sent(self, **typed: str | None) -> list[tuple[str, str]]:
        """What is sent once this is typed; None sends nothing under that name. `_` in names stands for `-`."""
        names = {name if name in ("start_at", "csrf_token") else name.replace("arg_", "arg-", 1): text
                 for name, text in typed.items()}  # fmt: skip
        kept = [(name, text) for name, text in self.sends if name not in names]
        return kept + [(name, text) for name, text in names.items() if text is not None]


class _Reader(HTMLParser):
    """Collects forms with what they would send, and the text that is read."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.scripts = 0
        self._area: str | None = None
        self._select: str | None = None
        self._is_first = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name = given.get("name")
        self.scripts += tag == "script" and "src" not in given
        if tag == "form":
            self.forms.append(Form(given.get("action") or ""))
        elif tag == "textarea" and name:
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._is_first = name, True
        elif tag == "option" and self._select:
            self._option(given)
        elif tag == "input" and name and (given.get("type") != "checkbox" or "checked" in given):
            self._send(name, given.get("value") or "")

    def _option(self, given: dict[str, str | None]) -> None:
        if self._is_first or "selected" in given:
            self.forms[-1].sends = [pair for pair in self.forms[-1].sends if pair[0] != self._select]
            self._send(str(self._select), given.get("value") or "")
        self._is_first = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            # A browser leaves out the first line break, and sends each as two signs.
            self._send(self._area, self._text.removeprefix("\n").replace("\n", "\r\n"))
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text += data
        self.words.append(data)

    def _send(self, name: str, text: str) -> None:
        if self.forms:
            self.forms[-1].sends.append((name, text))


@dataclass
class Page:
    """What was answered, read as a page."""

    answer: TestResponse

    def __post_init__(self) -> None:
        reader = _Reader()
        reader.feed(self.answer.text)
        self.forms, self.words = reader.forms, " ".join(" ".join(reader.words).split())
        assert reader.scripts == 0, "a script stands in the page"
        assert " style=" not in self.answer.text, "a style stands in the page"

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def html(self) -> str:
        return self.answer.text

    @property
    def place(self) -> str:
        """Where it leads, where it leads elsewhere."""
        return self.answer.headers.get("Location", "")

    def form(self, action: str) -> Form:
        """The form that goes there."""
        return next(one for one in self.forms if one.action.endswith(action))


@dataclass
class Visitor:
    """Somebody with a browser of their own."""

    client: FlaskClient
    name: str

    @classmethod
    def signed_in(cls, served: Served, name: str) -> Visitor:
        visitor = cls(served.app.test_client(), name)
        form = visitor.get("/console/sign-in").form("/console/sign-in")
        assert visitor.send(form, token=token_of(name)).status == 303
        return visitor

    def get(self, address: str, **headers: str) -> Page:
        return Page(self.client.get(address, headers=headers))

    def send(self, form: Form, **typed: str | None) -> Page:
        return self.post(form.action, form.sent(**typed))

    def post(self, address: str, sent: list[tuple[str, str]]) -> Page:
        data: dict[str, Any] = {}
        for name, text in sent:
            data.setdefault(name, []).append(text)
        return Page(self.client.post(address, data=data))

    def follow(self, page: Page) -> Page:
        assert page.status == 303, page.html
        return self.get(page.place)
