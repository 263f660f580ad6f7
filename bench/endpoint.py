"""Where the notifications of a bench go: a server on loopback that fails half the time, and counts what it took."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Failures in a row for one message at the most: each doubles what it waits for the next try.
_ROW = 4


class Taker:
    """Decides about each request, and remembers: `taken` counts by message how often it was answered well."""

    def __init__(self, seed: int) -> None:
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._mutex = threading.Lock()

    def status(self, message: str) -> int:
        """How to answer a request that brings this message."""
        with self._mutex:
            if self.refused[message] < _ROW and not self.taken[message] and self._random.random() < 0.5:
                self.refused[message] += 1
                return 500
            self.taken[message] += 1
            return 204


class _Handler(BaseHTTPRequestHandler):
    taker: Taker

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.taker.status(self.headers["webhook-id"]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A worker that is killed breaks connections off."""


@contextmanager
def taking(taker: Taker) -> Iterator[str]:
    """Serve on a port of its own; gives host and port."""
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"taker": taker})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
