"""The gunicorn worker class of the service, and its log as JSON."""

from __future__ import annotations

import errno
import re
import resource
import selectors
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gunicorn.glogging import Logger
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from pausable.logs import json_formatter

from .auth import network_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

#: Seconds that a client may be silent while sending a request, and the limit for the whole request.
SILENCE: Final = 10.0
WHOLE: Final = 60.0
#: Seconds for a client to receive each part of a response.
WRITING: Final = 20.0
#: Maximum connections waiting for a request, per address (for IPv6, its /64 network) and in total; beyond it the oldest
#: one is closed.
PER_ADDRESS: Final = 128
IN_ALL: Final = 512
#: Maximum bytes of a request's head, and of a body that is read before a thread is taken.
LARGEST_HEAD: Final = 64 * 1024
BUFFERED: Final = 64 * 1024
#: Concurrent requests with a larger body; each is read by its thread within `WHOLE` seconds.
LARGE_AT_ONCE: Final = 8
#: Bytes of a response that the kernel buffers, so that no thread waits for a slow client.
_SEND_BUFFER: Final = 512 * 1024
#: Seconds and bytes for which a connection is still read after its last response (RFC 9112, 9.6).
_LINGER: Final = 2.0
_LINGER_BYTES: Final = 64 * 1024
#: Minimum seconds between two checks for timed-out connections.
_LOOK: Final = 0.25
#: Paths served by threads of their own, however busy the others are.
_APART: Final = (b"/healthz", b"/readyz")
_THREADS_APART: Final = 4
_OPEN_FILES: Final = 4096

_TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
_OF_THE_BODY: Final = re.compile(rb"\r\n(content-length|transfer-encoding)[ \t]*:([^\r\n]*)", re.IGNORECASE)
_EXPECTS: Final = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)


class _Connection(TConn):  # type: ignore[misc] # gunicorn has no types
    """A connection whose reads and writes in a thread have deadlines."""

    is_buffered = True
    network = ""

    def init(self) -> None:
        """Set the deadlines for a thread, which has just made the socket blocking without a timeout."""
        super().init()
        self.sock.settimeout(WRITING)


class _LateReader(SocketUnreader):  # type: ignore[misc] # gunicorn has no types
    """Reads the rest of a large body in the serving thread, until `deadline`."""

    def __init__(self, sock: socket.socket, begun: bytes, deadline: float) -> None:
        super().__init__(sock)
        self._deadline = deadline
        self.unread(begun)

    def chunk(self, size_hint: int | None = None) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(min(left, SILENCE))
        try:
            part: bytes = super().chunk(size_hint)
            return part
        finally:
            self.sock.settimeout(WRITING)


@dataclass(eq=False, slots=True)
class Arriving:
    """The received part of a request; its connection is closed at `deadline`."""

    deadline: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    silence: float = SILENCE
    _heard: float = 0.0
    _body_at: int = 0
    _ends_at: int | None = None
    _next_chunk: int | None = None

    @property
    def has_head(self) -> bool:
        """Return whether the head is complete."""
        return self._body_at > 0

    @property
    def head(self) -> bytes:
        """Return the head without the empty line that ends it."""
        return bytes(self.received[: self._body_at - len(_END_OF_HEAD)])

    @property
    def target(self) -> bytes:
        """Return the requested path without its query."""
        words = self.head.partition(b"\r\n")[0].split(b" ")
        return words[1].partition(b"?")[0] if len(words) > 1 else b""

    @property
    def expects_continue(self) -> bool:
        """Return whether the client waits for 100 Continue before it sends the body."""
        return _EXPECTS.search(self.head) is not None

    @property
    def is_whole(self) -> bool:
        """Return whether head and body are complete."""
        return self._ends_at is not None and len(self.received) >= self._ends_at

    @property
    def is_large(self) -> bool:
        """Return whether the body is too large to be buffered."""
        announced = (self._ends_at or 0) - self._body_at
        return self.has_head and max(announced, len(self.received) - self._body_at) > BUFFERED

    @property
    def is_refused(self) -> bool:
        """Return whether the head is too large."""
        return not self.has_head and len(self.received) > LARGEST_HEAD

    def is_over(self, now: float) -> bool:
        """Return whether the client has run out of time."""
        return now >= min(self.deadline, self._heard + self.silence)

    def add(self, part: bytes, now: float) -> None:
        """Add received bytes."""
        searched = max(0, len(self.received) - len(_END_OF_HEAD) + 1)
        self.received += part
        self._heard, self.silence = now, SILENCE
        if not self.has_head and (end := self.received.find(_END_OF_HEAD, searched)) >= 0:
            self._body_at = end + len(_END_OF_HEAD)
            self._expect_body(self.head)
        if self._next_chunk is not None:
            self._follow_chunks(self._next_chunk)

    def start(self, now: float, patience: float) -> None:
        """Start to wait for a request, whose first byte has to arrive within `patience` seconds."""
        self._heard, self.silence, self.deadline = now, patience, now + WHOLE

    def forget_expectation(self) -> None:
        """Remove the header `Expect` after it was answered."""
        lines = self.head.split(b"\r\n")
        kept = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:")) + _END_OF_HEAD
        cut = self._body_at - len(kept)
        self.received[: self._body_at] = kept
        self._body_at -= cut
        self._ends_at = None if self._ends_at is None else self._ends_at - cut
        self._next_chunk = None if self._next_chunk is None else self._next_chunk - cut

    def _expect_body(self, head: bytes) -> None:
        """Determine from the head where the body ends. Requests that gunicorn refuses later may count as complete."""
        fields = {name.lower(): value for name, value in _OF_THE_BODY.findall(head)}
        length = fields.get(b"content-length", b"0").strip()
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
            self._next_chunk = self._body_at
        else:
            self._ends_at = self._body_at + (int(length) if length.isdigit() and len(length) < 16 else 0)

    def _follow_chunks(self, at: int) -> None:
        while (line_end := self.received.find(b"\r\n", at)) >= 0:
            size = _chunk_size(bytes(self.received[at:line_end]))
            if size <= 0:
                end = self.received.find(_END_OF_HEAD, line_end)  # after the trailers, if any
                self._ends_at = None if size == 0 and end < 0 else max(end + len(_END_OF_HEAD), line_end)
                break
            if (following := line_end + 2 + size + 2) > len(self.received):
                break
            at = following
        self._next_chunk = at


def _chunk_size(line: bytes) -> int:
    """Return the size in a chunk's first line; -1 if it is invalid."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return -1


class FrontWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A threaded worker that reads requests in its event loop.

    `per_address` limits the connections per address that wait for a request; None if a trusted proxy sends all of them.
    """

    per_address: int | None = PER_ADDRESS

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        """Refuse settings that the event loop does not support."""
        if cfg.is_ssl or cfg.http2_cleartext in ("prior-knowledge", "both"):
            raise ValueError(
                "gunicorn serves plain HTTP/1.1 here: let a proxy in front of it speak TLS and HTTP/2, "
                "and set TRUSTED_PROXIES."
            )

    def init_process(self) -> None:
        """Create the thread pools, and raise the limit of open files for that many connections."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        self._arriving: dict[_Connection, Arriving] = {}
        self._lingering: dict[_Connection, tuple[float, int]] = {}
        self._looked = 0.0
        self._large = ThreadPoolExecutor(LARGE_AT_ONCE, "large")
        self._apart = {target: ThreadPoolExecutor(_THREADS_APART, "apart") for target in _APART}
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and wait for its first request."""
        try:
            client, address = listener.accept()
        except OSError as fault:
            if fault.errno in (errno.EMFILE, errno.ENFILE):
                self._close_oldest(self._arriving)
            elif fault.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        conn = _Connection(self.cfg, client, address, listener.getsockname())
        conn.network = network_of(address[0]) if isinstance(address, tuple) else ""
        conn.data_ready = True
        conn.init()
        self._await_request(conn, SILENCE)

    def enqueue_req(self, conn: _Connection) -> None:
        """Do nothing: this worker does not use gunicorn's queue."""
        self._await_request(conn, SILENCE)

    def finish_request(self, conn: _Connection, fs: Future[bool]) -> None:
        """Wait for the next request of a kept connection, or let the client read the end and close it."""
        is_kept = not fs.cancelled() and fs.exception() is None and fs.result()
        if is_kept:
            self._await_request(conn, self.cfg.keepalive, conn.parser.unreader.take_buffered())
        else:
            self._linger(conn)

    def handle_request(self, req: Any, conn: _Connection) -> bool:
        """Answer a request; a client that does not read its response in time loses the connection."""
        try:
            return bool(super().handle_request(req, conn))
        except TimeoutError:
            self.log.info("A client was too slow for its request or its answer: closed.")
            return False

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections of clients that have run out of time, or all."""
        now = time.monotonic()
        if not force and now - self._looked < _LOOK:
            return
        self._looked = now
        for conn, arriving in list(self._arriving.items()):
            if force or arriving.is_over(now):
                self._drop(conn, _TIMED_OUT if arriving.received else b"")
        for conn, (deadline, _) in list(self._lingering.items()):
            if force or now >= deadline:
                self._drop(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        for arriving in self._arriving.values():
            arriving.deadline = min(arriving.deadline, deadline)

    def _keepalive_after(self, conn: _Connection, keepalive: bool) -> bool:
        return conn.is_buffered and bool(super()._keepalive_after(conn, keepalive))

    def _await_request(self, conn: _Connection, patience: float, begun: bytes = b"") -> None:
        now = time.monotonic()
        arriving = Arriving()
        arriving.start(now, patience)
        if not self.alive:
            arriving.deadline = now + _LINGER
        conn.sock.setblocking(False)
        self._arriving[conn] = arriving
        self._register(conn, self._on_readable)
        self._keep_to_bounds(conn)
        if begun and conn in self._arriving:
            self._take(conn, begun)

    def _on_readable(self, conn: _Connection, _sock: object) -> None:
        part = _received(conn)
        if part == b"":
            self._drop(conn)
        elif part is not None:
            self._take(conn, part)

    def _take(self, conn: _Connection, part: bytes) -> None:
        arriving = self._arriving[conn]
        had_head = arriving.has_head
        arriving.add(part, time.monotonic())
        if arriving.is_refused:
            self._drop(conn, _HEAD_TOO_LARGE)
        elif arriving.is_whole or arriving.is_large:
            self._hand_over(conn, arriving)
        elif arriving.has_head and not had_head and arriving.expects_continue:
            arriving.forget_expectation()
            with suppress(OSError):
                conn.sock.send(_CONTINUE)

    def _hand_over(self, conn: _Connection, arriving: Arriving) -> None:
        """Submit a request to the thread pool responsible."""
        del self._arriving[conn]
        self._unregister(conn)
        conn.is_buffered = arriving.is_whole
        begun = bytes(arriving.received)
        if conn.is_buffered:
            conn.parser.unreader.unread(begun)
        else:
            conn.parser.unreader = _LateReader(conn.sock, begun, arriving.deadline)
        answering = self._pool_for(arriving).submit(self.handle, conn)
        answering.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _pool_for(self, arriving: Arriving) -> ThreadPoolExecutor:
        if not arriving.is_whole:
            return self._large
        apart = (pool for end, pool in self._apart.items() if arriving.target.endswith(end))
        return next(apart, self.tpool)

    def _linger(self, conn: _Connection) -> None:
        """Shut down the sending side and read on briefly: closing at once could cut off the response."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._lingering[conn] = time.monotonic() + _LINGER, 0
        self._register(conn, self._on_lingering)

    def _on_lingering(self, conn: _Connection, _sock: object) -> None:
        part = _received(conn)
        if part is None:
            return
        deadline, before = self._lingering[conn]
        self._lingering[conn] = deadline, before + len(part)
        if not part or before + len(part) > _LINGER_BYTES:
            self._drop(conn)

    def _keep_to_bounds(self, newest: _Connection) -> None:
        """Close the oldest connection of the address with the most if there are too many."""
        if self.per_address is not None and len(self._arriving) > self.per_address:
            theirs = [conn for conn in self._arriving if conn.network == newest.network]
            if len(theirs) > self.per_address:
                self._close_oldest(theirs)
        if len(self._arriving) + len(self._lingering) > IN_ALL:
            waiting = [*self._lingering, *self._arriving]
            greediest = Counter(conn.network for conn in waiting).most_common(1)[0][0]
            self._close_oldest([conn for conn in waiting if conn.network == greediest])

    def _close_oldest(self, conns: Any) -> None:
        if (oldest := next(iter(conns), None)) is not None:
            self._drop(oldest)

    def _drop(self, conn: _Connection, last_words: bytes = b"") -> None:
        self._arriving.pop(conn, None)
        self._lingering.pop(conn, None)
        self._unregister(conn)
        if last_words:
            with suppress(OSError):
                conn.sock.send(last_words)
        self._close(conn)

    def _close(self, conn: _Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def _register(self, conn: _Connection, on_readable: Callable[[_Connection, object], None]) -> None:
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(on_readable, conn))

    def _unregister(self, conn: _Connection) -> None:
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)


def _received(conn: _Connection) -> bytes | None:
    """Return the received bytes: empty if the client has closed its side, None if there was nothing to read."""
    try:
        part: bytes = conn.sock.recv(65536)
        return part
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


class JsonLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's logger with JSON lines."""

    def setup(self, cfg: Any) -> None:
        """Configure the log as gunicorn does, then replace each handler's formatter."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(json_formatter())
