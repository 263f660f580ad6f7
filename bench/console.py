"""The console: its first page with very many operations, and what a browser with an empty cache is sent."""

from __future__ import annotations

import http.client
import re
import time
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from app.web.stream import MEDIA_TYPE
from bench.figure import Figure, Spread, at_most, percentile
from bench.http import TOKEN
from bench.listing import fill
from bench.watching import Watchers, moved, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed

_LIST = "/console/operations"
# What is asked for, and how it is called.
_LISTS = (
    ("", "all"),
    ("?completion=PAUSED", "PAUSED ones"),
    ("?workflow=bench-fan", "of one workflow"),
    ("?search=nothing+like+it", "a search that finds nothing"),
)
_STEPS = 1000
_NAP = 0.05
# The history on a page names the event of each line.
_CHANGE = re.compile(rb'id="event-([0-9]+)"')


class Browser:
    """Somebody signed in, on one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookie = ""
        page = self.get("/console/sign-in")[1].decode()
        key = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert key
        self._ask("POST", "/console/sign-in", urlencode({"csrf_token": key[1], "token": TOKEN}))

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and the bytes of what is there, as they travel."""
        return self._ask("GET", path)

    def weight(self, path: str) -> int:
        """The bytes of a page and of all that it shows and runs."""
        status, page = self.get(path)
        assert status == http.HTTPStatus.OK, path
        parts = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.decode()))
        return len(page) + sum(len(self.get(unescape(part))[1]) for part in parts)

    def _ask(self, method: str, path: str, form: str | None = None) -> tuple[int, bytes]:
        headers = {"Cookie": self.cookie, "Accept-Encoding": "gzip"}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        self._connection.request(method, path, form, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        self.cookie = (answer.getheader("Set-Cookie") or self.cookie).partition(";")[0]
        return answer.status, content


def console(bed: Bed) -> Iterator[Figure]:
    """The first page, asked for again and again; then the weight of each page."""
    with bed.service() as service:
        fill(service, bed.scale.many_rows)
        service.start_web()
        service.start_worker()
        operations = service.start_many(1, length=min(_STEPS, bed.scale.long_chain))
        service.await_all(operations)
        browser = Browser(service.settings.port)
        for query, how in _LISTS:
            yield _first_page(bed, browser, query, how)
        yield _weight(browser, _LIST, f"{_LIST}/{operations[0]}", "/console/start/count-by", "/console/tokens")
    yield from _renewed(bed)


def _renewed(bed: Bed) -> Iterator[Figure]:
    """Two hundred have the page of one operation open, which is paused and resumed again and again."""
    with bed.service() as service:
        service.start_web()
        service.start_worker()
        operation = service.start_many(1, "bench-naps", length=min(_STEPS, bed.scale.long_chain), seconds=_NAP)[0]
        cookie = Browser(service.settings.port).cookie
        head = f"GET {_LIST}/{operation}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        asked = f"{head}Cookie: {cookie}\r\nAccept: {MEDIA_TYPE}\r\n\r\n"
        with Watchers(service.settings.port, asked.encode(), _CHANGE) as watchers:
            changes = moved(bed, service, operation, watchers)
            yield from told(watchers, changes, "have the page of one operation open")


def _weight(browser: Browser, *pages: str) -> Figure:
    weights = {page: browser.weight(page) / 1000 for page in pages}
    note = ", ".join(f"{page} {weight:.0f}" for page, weight in weights.items())
    heaviest = Spread.of([max(weights.values())])
    return Figure("the heaviest page of the console, with an empty cache", "kB", heaviest, at_most(150), note=note)


def _first_page(bed: Bed, browser: Browser, query: str, how: str) -> Figure:
    taken = []
    for _ in range(bed.scale.pages):
        begun = time.perf_counter()
        status, _ = browser.get(f"{_LIST}{query}")
        taken.append(1000 * (time.perf_counter() - begun))
        assert status == http.HTTPStatus.OK
    what = f"first page of the console with {bed.scale.many_rows:,} operations, 95th percentile, {how}"
    note = f"the first time {taken[0]:.0f} ms, the median {percentile(taken, 0.5):.0f} ms"
    return Figure(what, "ms", Spread.of([percentile(taken, 0.95)]), at_most(150), note=note)
