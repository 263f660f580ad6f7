"""Breaking things: what each fault of the plan does to the programs, and how it is lifted again."""

from __future__ import annotations

import heapq
import signal
import sqlite3
import time
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import psycopg
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from chaos.database import Server
from chaos.disk import empty, fill
from chaos.holding import stop_a_writer
from chaos.plan import FAULTS
from chaos.stack import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from chaos.audit import Audit
    from chaos.database import SQLite
    from chaos.plan import Fault
    from chaos.processes import Process
    from chaos.stack import Member, Stack

#: Messages that one fault delivers again.
_AGAIN = 50


@dataclass(frozen=True)
class Hit:
    """A fault that came to pass: when, what, and which processes of workers it took or held."""

    at: float
    kind: str
    processes: frozenset[Process]


class Faults:
    """Lets the faults of a plan come to pass; call it from the thread that tends the stack."""

    def __init__(
        self, stack: Stack, audit: Audit, lock: Path, lease: float, database: SQLite | Server, disk: Path | None
    ) -> None:
        self.hits: list[Hit] = []
        self.missed: list[str] = []
        self._stack = stack
        self._audit = audit
        self._lock = lock
        self._lease = lease
        self.database = database
        self._disk = disk
        self._to_lift: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._deeds: dict[str, Callable[[Fault], None]] = dict(zip(FAULTS, self._in_order(), strict=True))

    def _in_order(self) -> Iterable[Callable[[Fault], None]]:
        """What is done for each of `FAULTS`, in their order."""
        return (
            self._kill_worker,
            self._kill_family,
            self._kill_child,
            self._stop_family,
            self._stop_worker,
            self._stop_child,
            self._stop_writer,
            self._end_worker,
            lambda _: self._with_broker(lambda broker: broker.flushall()),
            lambda fault: self._take_down("broker", signal.SIGKILL, fault),
            lambda fault: self._take_down("broker", signal.SIGTERM, fault),
            self._stop_broker,
            self._deliver_again,
            lambda fault: self._take_down("web", signal.SIGKILL, fault),
            lambda fault: self._take_down("web", signal.SIGTERM, fault),
            self._make_broker_read_only,
            lambda fault: self._start_worker_under(self.database.lock, fault),
            lambda fault: self._start_worker_under(self._fill_disk, fault),
            lambda fault: self._disturb(self._server.kill, fault),
            lambda fault: self._disturb(self._server.freeze, fault),
            lambda fault: self._disturb(self._server.fail_over, fault),
            lambda _: self._server.end_sessions(),
        )

    def let(self, fault: Fault) -> None:
        """Let a fault come to pass; one that finds nothing to break is counted as missed."""
        before = len(self.hits) + len(self.missed)
        try:
            self._deeds[fault.kind](fault)
        except (RedisError, SQLAlchemyError, sqlite3.Error, psycopg.Error, OSError) as why:
            self.missed.append(f"{fault.kind}: {type(why).__name__}: {why}")
        if len(self.hits) + len(self.missed) == before:
            self._note(fault.kind, ())

    def lift_due(self, *, all_of_them: bool = False) -> None:
        """Continue what has been stopped long enough, or everything."""
        while self._to_lift and (all_of_them or self._to_lift[0][0] <= time.monotonic()):
            self._lift(heapq.heappop(self._to_lift)[2])

    def _lift(self, lift: Callable[[], None]) -> None:
        try:
            lift()
        except RedisError:  # the broker has been killed meanwhile, and is another now
            return

    def _worker(self, fault: Fault) -> Member:
        workers = [self._stack.members[name] for name in WORKERS]
        at_work = [worker for worker in workers if worker.pool] or workers
        return at_work[int(fault.pick * len(at_work))]

    def _kill_worker(self, fault: Fault) -> None:
        """Its main process alone: what it has started goes on without it."""
        member = self._worker(fault)
        member.stay_down(fault.leases)
        self._hit(fault, member, signal.SIGKILL)

    def _kill_family(self, fault: Fault) -> None:
        member = self._worker(fault)
        member.stay_down(fault.leases)
        self._note(fault.kind, member.family)
        member.end_group()

    def _kill_child(self, fault: Fault) -> None:
        self._one_of_pool(fault, signal.SIGKILL)

    def _stop_family(self, fault: Fault) -> None:
        family = self._worker(fault).family
        self._note(fault.kind, family)
        for one in family:
            one.signal(signal.SIGSTOP)
        self._continue_later(fault, family)

    def _stop_worker(self, fault: Fault) -> None:
        """Its main process alone: its pool goes on until it has nothing more to do."""
        self._continue_later(fault, self._hit(fault, self._worker(fault), signal.SIGSTOP))

    def _stop_child(self, fault: Fault) -> None:
        self._continue_later(fault, self._one_of_pool(fault, signal.SIGSTOP))

    def _stop_writer(self, fault: Fault) -> None:
        processes = [one for name in WORKERS for one in self._stack.members[name].family]
        stopped = stop_a_writer(self._lock, processes)
        if stopped is None:
            self.missed.append(f"{fault.kind}: nobody wrote")
        else:
            self._note(fault.kind, [stopped])
            self._continue_later(fault, [stopped])

    def _end_worker(self, fault: Fault) -> None:
        member = self._worker(fault)
        member.stay_down(fault.leases)
        self._hit(fault, member, signal.SIGTERM)

    def _stop_broker(self, fault: Fault) -> None:
        broker = self._stack.members["broker"].main
        self._note(fault.kind, ())
        if broker:
            broker.signal(signal.SIGSTOP)
            self._continue_later(fault, [broker])

    def _take_down(self, name: str, number: int, fault: Fault) -> None:
        member = self._stack.members[name]
        member.stay_down(fault.leases)
        self._note(fault.kind, ())
        if member.main:
            member.main.signal(number)

    def _deliver_again(self, fault: Fault) -> None:
        """Publish messages of steps that wait, run, or have ended, and a copy of each message that waits."""
        with Redis.from_url(self._stack.embedded.url, socket_timeout=1) as broker:
            for message in list(broker.lrange("operations", 0, _AGAIN)):
                broker.lpush("operations", message)
        self._audit.send_again(_AGAIN, Random(fault.pick))

    @property
    def _server(self) -> Server:
        assert isinstance(self.database, Server), "this fault is for a PostgreSQL server of the run's own"
        return self.database

    def _disturb(self, deed: Callable[[], Callable[[], None]], fault: Fault) -> None:
        """Do something to what all depend on, for some leases."""
        lift = deed()
        self._note(fault.kind, ())
        self._lift_later(fault, lift)

    def _start_worker_under(self, deed: Callable[[], Callable[[], None]], fault: Fault) -> None:
        """Let a worker start while the database takes nothing: it cannot enter itself."""
        member = self._worker(fault)
        self._note(fault.kind, member.family)
        member.end_group()
        member.stay_down(0)
        self._lift_later(fault, deed())

    def _fill_disk(self) -> Callable[[], None]:
        assert self._disk is not None, "this fault is for a disk of the run's own"
        disk = self._disk
        fill(disk)
        return lambda: empty(disk)

    def _make_broker_read_only(self, fault: Fault) -> None:
        """Let the broker refuse writes, as one does whose place another has taken."""
        self._with_broker(lambda broker: broker.replicaof("127.0.0.1", "1"))
        self._note(fault.kind, ())
        self._lift_later(fault, lambda: self._with_broker(lambda broker: broker.replicaof("NO", "ONE")))

    def _with_broker(self, deed: Callable[[Redis], object]) -> None:
        with Redis.from_url(self._stack.embedded.url, socket_timeout=1) as broker:
            deed(broker)

    def _one_of_pool(self, fault: Fault, number: int) -> list[Process]:
        pool = self._worker(fault).pool
        if not pool:
            self.missed.append(f"{fault.kind}: there was none")
            return []
        one = pool[int(fault.pick * 997) % len(pool)]
        self._note(fault.kind, [one])
        one.signal(number)
        return [one]

    def _hit(self, fault: Fault, member: Member, number: int) -> list[Process]:
        """Signal a main process; what it has started is hit with it, since nobody speaks for it any more."""
        self._note(fault.kind, member.family)
        main = [member.main] if member.main else []
        for one in main:
            one.signal(number)
        return main

    def _continue_later(self, fault: Fault, stopped: list[Process]) -> None:
        def lift() -> None:
            for one in stopped:
                one.signal(signal.SIGCONT)

        self._lift_later(fault, lift)

    def _lift_later(self, fault: Fault, lift: Callable[[], None]) -> None:
        heapq.heappush(self._to_lift, (time.monotonic() + fault.leases * self._lease, next(self._numbers), lift))

    def _note(self, kind: str, processes: Iterable[Process]) -> None:
        self.hits.append(Hit(time.time(), kind, frozenset(processes)))
