"""Speaking HTTP to a web server that dies now and then: each question is asked until somebody answers it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from typing import Any

#: What the calls prove themselves with: the service listens on loopback and lives for minutes.
TOKEN = "chaos-is-the-only-caller"

_HOST = "127.0.0.1"
_SILENCE = 10.0
_PAUSE = 0.1


class NoAnswer(Exception):
    """The web server gave no answer while there was time."""


class Client:
    """Calls from any thread, each with a connection of its own; `until` is the moment at which asking again ends."""

    def __init__(self, port: int) -> None:
        self.until = float("inf")
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self._port = port
        self._mine = threading.local()
        self._counting = threading.Lock()

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """The status and JSON of an answer that is no fault of the server's (5xx).

        Raises:
            NoAnswer: There was none in time.
        """
        while True:
            try:
                status, answer = self._once(method, path, body, key)
                self._count(status)
                if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    return status, answer
            except (OSError, http.client.HTTPException):
                self._mine.connection = None
                self._count(None)
            if time.monotonic() > self.until:
                raise NoAnswer(path)
            time.sleep(_PAUSE)

    def _once(self, method: str, path: str, body: Any, key: str | None) -> tuple[int, Any]:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = http.client.HTTPConnection(_HOST, self._port, timeout=_SILENCE)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers | ({"Idempotency-Key": key} if key else {}))
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] == b"{" else None

    def _count(self, status: int | None) -> None:
        with self._counting:
            if status is None:
                self.unanswered += 1
            else:
                self.statuses[status] += 1
