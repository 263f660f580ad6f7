"""Speaking HTTP to the service: one call at a time, or as many as a few connections carry, on raw sockets."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: What the calls prove themselves with; the services of a bench listen on loopback and live for minutes.
TOKEN = "the-bench-is-the-only-reader"

_HOST = "127.0.0.1"
_LONGEST = 60.0  # seconds after which a load stops, whatever is left of it
_LENGTH = b"content-length:"


@dataclass
class Outcome:
    """What a load met: how long each answer took in seconds, which statuses came, and how long it all took."""

    taken: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.taken) / self.seconds


def answers(port: int) -> bool:
    """Whether a web server at this port says that it is alive."""
    try:
        return Caller(port).call("GET", "/healthz")[0] == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


class Caller:
    """A client with one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(_HOST, port, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Make a call; returns the status and the JSON of the answer."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def request(method: str, path: str, body: Any = None) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {_HOST}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def load(port: int, total: int, connections: int, ask: Callable[[int], bytes]) -> Outcome:
    """Send `total` requests, the bytes of each made by `ask`, on so many connections, each asking as soon as it may."""
    outcome, asked = Outcome(), 0
    with selectors.DefaultSelector() as selector:
        lines = [_Line(port) for _ in range(min(connections, total))]
        begun = time.perf_counter()
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.send(ask(asked))
            asked += 1
        while len(outcome.taken) < total and time.perf_counter() - begun < _LONGEST:
            for key, _ in selector.select(timeout=1):
                if key.data.receive(outcome) and asked < total:
                    key.data.send(ask(asked))
                    asked += 1
        outcome.seconds = time.perf_counter() - begun
        for line in lines:
            line.socket.close()
    return outcome


class _Line:
    """One connection, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((_HOST, port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._sent_at = 0.0

    def send(self, content: bytes) -> None:
        self._received, self._sent_at = b"", time.perf_counter()
        self.socket.sendall(content)

    def receive(self, outcome: Outcome) -> bool:
        """Take what has arrived; True once that is a whole answer, which is then noted."""
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the web server closed a connection that was to stay open")
        self._received += more
        if not _is_whole(self._received):
            return False
        outcome.taken.append(time.perf_counter() - self._sent_at)
        outcome.statuses[int(self._received[9:12])] += 1
        return True


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    lengths = (line[len(_LENGTH) :] for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH))
    return len(body) >= int(next(lengths, b"0"))
