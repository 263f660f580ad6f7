"""A real HTTP server on loopback that receives notifications, and behaves as badly as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Received:
    """One request as it came in, and the status it was answered with."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def said(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


@dataclass
class Endpoint:
    """Answers 204, unless `answers` says otherwise; a negative status breaks the connection off."""

    host: str = ""
    received: list[Received] = field(default_factory=list)
    answers: Callable[[int], int] = lambda _number: 204
    headers: dict[str, str] = field(default_factory=dict)
    #: Kept closed, no request is answered.
    gate: threading.Event = field(default_factory=threading.Event)
    #: Seconds between two bytes of an answer.
    drips: float = 0.0
    _numbers: Counter[str] = field(default_factory=Counter)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        return f"{scheme}://{self.host}{path}"

    def delivered(self) -> list[Received]:
        """Those requests that it took."""
        return [one for one in self.received if 200 <= one.status < 300]

    def receive(self, request: BaseHTTPRequestHandler) -> int:
        """Note a request; returns the status to answer with."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._mutex:
            self._numbers["all"] += 1
            status = self.answers(self._numbers["all"])
            self.received.append(Received(request.path, headers, body, status))
        return status


def half(number: int) -> int:
    """Fails every second time."""
    return 500 if number % 2 else 204


@contextmanager
def listening(**how: Any) -> Iterator[Endpoint]:
    """An endpoint on a port of its own."""
    endpoint = Endpoint(**how)
    if "gate" not in how:
        endpoint.gate.set()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"endpoint": endpoint})) as server:
        endpoint.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.gate.set()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A test that ends breaks connections off."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        status = self.endpoint.receive(self)
        self.endpoint.gate.wait(60)
        with suppress(OSError):  # the other side had enough of waiting
            self._answer(status)

    do_GET = do_POST

    def _answer(self, status: int) -> None:
        self.close_connection = True
        if status < 0:
            return
        head = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in self.endpoint.headers.items())]
        answer = "\r\n".join([*head, "Content-Length: 0", "Connection: close", "", ""]).encode()
        drips = self.endpoint.drips
        for part in [bytes([byte]) for byte in answer] if drips else [answer]:
            self.wfile.write(part)
            time.sleep(drips)

    def log_message(self, *_: object) -> None:
        pass
