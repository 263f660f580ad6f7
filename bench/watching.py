"""Watching: how soon a change is told to two hundred who watch over HTTP, and what it costs that they do."""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from app.web.stream import MEDIA_TYPE, PLACES
from bench.figure import Figure, Spread, at_most, compared, interleaved, percentile
from bench.http import TOKEN, load, request
from bench.programs import until
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service
    from pausable.db.history import Event

_NAP = 0.05
#: For each pause: more than run between two of them.
_STEPS = 40
#: Seconds that an operation goes on between a resume and the next pause; and after which nothing is told any more.
_GOES_ON, _QUIET = 0.3, 2.0
_CHANGE = re.compile(rb"^id: ([0-9]+)\r?$", re.MULTILINE)


class Watchers:
    """Those who watch one operation, on a socket each, read by one thread; `told` is when each was told first of what.

    Each sends the bytes of the request; what it is told of it finds by the pattern, whose group is an event's id.
    """

    def __init__(self, port: int, asked: bytes, pattern: re.Pattern[bytes], how_many: int = PLACES) -> None:
        self.told: dict[int, dict[socket.socket, float]] = {}
        self._pattern = pattern
        self._rests: dict[socket.socket, bytes] = {}
        self._over = threading.Event()
        for _ in range(how_many):
            line = socket.create_connection(("127.0.0.1", port), timeout=30)
            line.sendall(asked)
            self._rests[line] = b""
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for line in self._rests:
            line.close()

    def have(self, event: Event) -> bool:
        """Whether each has been told of it."""
        return len(self.told.get(event.id, ())) == len(self._rests)

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for line in self._rests:
                selector.register(line, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in selector.select(0.1):
                    assert isinstance(key.fileobj, socket.socket)
                    self._take(key.fileobj)

    def _take(self, line: socket.socket) -> None:
        content = line.recv(65536)
        now = time.time()
        assert content, "a stream ended"
        told, _, self._rests[line] = (self._rests[line] + content).rpartition(b"\n")
        for event_id in self._pattern.findall(told):
            self.told.setdefault(int(event_id), {}).setdefault(line, now)


def watch(bed: Bed) -> Iterator[Figure]:
    """Two hundred watch an operation that is paused and resumed again and again; then it rests, and they watch on."""
    with bed.service() as service, bed.service() as other:
        for one in (service, other):
            one.start_web()
            one.start_worker()
        operation = service.start_many(1, "bench-naps", length=_STEPS * bed.scale.pauses, seconds=_NAP)[0]
        with Watchers(service.settings.port, _of_the_api(operation), _CHANGE) as watchers:
            changes = moved(bed, service, operation, watchers)
            yield from told(watchers, changes, "watch one operation")
            time.sleep(_QUIET)
            yield _idle(bed, service)
            yield _beside(bed, service, other)


def _of_the_api(operation: int) -> bytes:
    """The request of a stream of the API."""
    asked = request("GET", f"/operations/{operation}/events")
    assert TOKEN.encode() in asked
    return asked.replace(b"\r\n\r\n", f"\r\nAccept: {MEDIA_TYPE}\r\n\r\n".encode())


def moved(bed: Bed, service: Service, operation: int, watchers: Watchers) -> list[Event]:
    """Pause and resume it, so often as there are pauses; returns what happened once all watched."""
    known, user = service.commands, service.user
    first = known.events(user, operation)[0]
    until(lambda: watchers.have(first), "all watch")
    last = known.events(user, operation)[-1].id
    for _ in range(bed.scale.pauses):
        time.sleep(_GOES_ON)
        known.pause(user, operation)
        until(lambda: service.completion_of(operation) is Completion.PAUSED, "it is paused")
        time.sleep(_GOES_ON)
        known.resume(user, operation)
    known.pause(user, operation)
    until(lambda: service.completion_of(operation) is Completion.PAUSED, "it is paused")
    changes = list(known.events(user, operation, after=last))
    until(lambda: all(map(watchers.have, changes)), "all were told of everything")
    return changes


def told(watchers: Watchers, changes: list[Event], what: str) -> Iterator[Figure]:
    delays = [moment - change.at for change in changes for moment in watchers.told[change.id].values()]
    note = f"{len(changes)} changes, each told to {PLACES}, while steps of 50 ms end; median and 95th percentile beside"
    spread = Spread(percentile(delays, 0.5), percentile(delays, 0.0), percentile(delays, 0.95))
    what = f"{PLACES} {what}: from a change until one of them is told"
    yield Figure(f"{what}, median (least..95th percentile)", "s", spread, note=note)
    yield Figure(f"{what}, the worst", "s", Spread.of([max(delays)]), at_most(1))


def _idle(bed: Bed, service: Service) -> Figure:
    web = service.programs["web"]
    begun = web.cpu_seconds()
    time.sleep(bed.scale.seconds)
    share = 100 * (web.cpu_seconds() - begun) / bed.scale.seconds
    return Figure(f"CPU of a web process that {PLACES} watch while nothing happens", "% of a core", Spread.of([share]))


def _beside(bed: Bed, service: Service, other: Service) -> Figure:
    """How long GET /operations/<id> takes, asked in turn of this web server and of one that nobody watches."""
    places = []
    for one in (service, other):
        ended = one.start_many(1)
        one.await_all(ended)
        places.append((one.settings.port, request("GET", f"/operations/{ended[0]}")))

    def asked(port: int, content: bytes) -> float:
        return 1000 * percentile(load(port, bed.scale.polls // 10, 1, lambda _: content).taken, 0.95)

    ours, theirs = interleaved(bed.scale.rounds, *(lambda place=place: asked(*place) for place in places))
    what = f"GET /operations/<id> while {PLACES} watch, 95th percentile"
    return compared(what, "ms", (ours, theirs), "with no watchers")
