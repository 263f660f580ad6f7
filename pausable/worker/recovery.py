"""Recovery: find claims whose holders are lost, and prove that a lost holder has ended."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from celery.worker.request import Request

from pausable import clock
from pausable.celery_compat import active_deliveries, count_of_deliveries, reserved_deliveries
from pausable.db.claims import held_claims, lost_claims_of
from pausable.db.database import isolate
from pausable.db.workers import beating_workers, mark_worker_lost
from pausable.engine.celery_app import this_engine
from pausable.engine.metrics import LOSSES
from pausable.engine.release import (
    confirm,
    end_in_time,
    hand_back,
    is_here,
    is_own_process,
    killed,
    lose,
    machine_and_boot,
)
from pausable.processes import is_gone, is_stopped, kill, this_boot, this_host

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from pausable.db.claims import HeldClaim
    from pausable.engine.engine import Engine, Recovers

#: Consecutive checks that must find the worker idle while messages wait: one that has just arrived may be in transit.
_LOOKS: Final = 3
#: Minimum seconds between two checks.
_APART: Final = 1.0

_log: Final = logging.getLogger(__name__)


class BrokerWatchdog:
    """Stops a worker that no longer receives messages; checked by the recovery thread of the worker's main process."""

    def __init__(self, engine: Engine, queues: Collection[str], is_connected: Callable[[], bool]) -> None:
        self._engine = engine
        self._is_connected = is_connected
        self._queues = tuple(queues)
        self._heard = 0
        self._looked_at = clock.monotonic()
        self._deaf = 0

    def look(self) -> None:
        """Terminate this worker if messages waited at `_LOOKS` checks in a row; its supervisor starts it again."""
        if clock.monotonic() - self._looked_at < max(_APART, self._engine.lease / _LOOKS):
            return
        self._looked_at = clock.monotonic()
        self._deaf = self._deaf + 1 if self._is_deaf() else 0
        if self._deaf >= _LOOKS:
            _log.critical("this worker is idle although messages wait in its queues: terminating for a restart")
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_deaf(self) -> bool:
        heard, self._heard = self._heard, count_of_deliveries()
        is_busy = heard != self._heard or bool(reserved_deliveries()) or bool(active_deliveries())
        if is_busy or not self._is_connected():
            return False
        return any(self._engine.publisher.depth(queue) for queue in self._queues)


class Leases:
    """Tracks which values have not changed for a whole lease (in seconds)."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[Hashable, tuple[Any, float]] = {}
        self._before: dict[Hashable, tuple[Any, float]] = {}
        self._looked_at = float("-inf")

    def look(self, *, is_beating: bool = True) -> None:
        """Begin a round; keys that the previous round did not ask about are forgotten.

        Start all leases anew if this process did not look for a whole lease (it was suspended, perhaps with all
        others), or if its own heartbeat fails: otherwise it would declare every worker lost when they continue.
        """
        now = clock.monotonic()
        has_slept = now - self._looked_at > self._lease or not is_beating
        self._before, self._seen, self._looked_at = {} if has_slept else self._seen, {}, now

    def has_stood_still(self, key: Hashable, mark: Any) -> bool:
        """Return whether `key` had the same `mark` in every round of the last lease."""
        seen = self._seen.get(key) or self._before.get(key)
        if seen is None or seen[0] != mark:
            seen = (mark, self._looked_at)
        self._seen[key] = seen
        return self._looked_at - seen[1] >= self._lease


if TYPE_CHECKING:
    #: (process, operation id) -> whether that process of this worker runs a slice of the operation, or may be about to.
    IsAtWork = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a holder counts as lost, and whether its process was proven to have ended."""

    why: str
    is_gone: bool


class Recovery:
    """What one worker knows about the holders of claims, from round to round.

    `is_at_work` answers for the processes of this worker; without it, a claim of a live process is never lost.
    """

    def __init__(self, engine: Engine, is_at_work: IsAtWork | None = None) -> None:
        self._engine = engine
        self._is_at_work = is_at_work
        self._leases = Leases(engine.lease)
        self._timed_out: dict[tuple[int, int, int], float] = {}

    def note_time_limit(self, operation_id: int, number: int, process: int, seconds: float) -> None:
        """Record that the process running this step is being killed after a hard time limit of so many seconds."""
        self._timed_out[operation_id, number, process] = seconds

    def look(self) -> None:
        """Check every claim once: take away those of lost holders, confirm those whose holders have ended."""
        self._leases.look(is_beating=self._is_beating())
        self._look_at_workers()
        with self._engine.database.glance() as tx:
            held = held_claims(tx)
        for claim in held:
            with isolate(claim.operation_id, "the check of a claim"):
                if verdict := self._verdict(claim):
                    self._take_away(claim, verdict)
        with self._engine.database.glance() as tx:
            lost = lost_claims_of(tx)
        for claim in lost:
            with isolate(claim.operation_id, "the check of a lost claim"):
                if self._is_proven_gone(claim):
                    confirm(self._engine, claim.operation_id, claim.number, claim.claim)

    def _is_beating(self) -> bool:
        """Return whether this worker's own heartbeat is written; if not, the others' may fail for the same reason."""
        beat_at = self._engine.incarnation.beat_at
        if beat_at is None:
            return not self._engine.incarnation.is_worker
        return clock.monotonic() - beat_at < self._engine.lease / 2

    def _look_at_workers(self) -> None:
        with self._engine.database.glance() as tx:
            workers = beating_workers(tx)
        for one in workers:
            is_dead = is_here(one) and is_gone(one.pid, one.start_time)
            is_silent = self._is_silent(one.id, one.heartbeat)
            if is_silent and is_here(one):  # a silent worker is useless: kill it so that its supervisor restarts it
                kill(one.pid, one.start_time)
            if is_dead or is_silent:
                with self._engine.database.write() as tx:
                    mark_worker_lost(tx, one.id, clock.now())

    def _verdict(self, held: HeldClaim) -> _Verdict | None:
        where = f"{held.host}, process {held.process}"
        if self._is_gone(held):
            return _Verdict(f"its worker was lost ({where} is gone)", True)
        if self._is_silent(held.worker_id, held.heartbeat):
            return _Verdict(f"its worker was lost ({where} was silent)", self._is_proven_gone(held))
        if self._is_stopped(held):
            return _Verdict(f"its worker was lost ({where} was stopped)", killed(held))
        if self._is_idle(held):
            return _Verdict(f"its worker did not go on with it ({where} lives, and runs nothing of it)", True)
        return None

    def _take_away(self, held: HeldClaim, verdict: _Verdict) -> None:
        limit = self._timed_out.pop((held.operation_id, held.number, held.process or 0), None)
        if limit is not None:
            end_in_time(self._engine, held, limit, is_gone=verdict.is_gone)
        elif held.stopped_at is not None:
            # a worker's main process reports its own end; a process of its pool may have outlived it
            is_gone = verdict.is_gone or is_own_process(held)
            hand_back(self._engine, held, is_gone=is_gone, why="its worker ended before it")
        else:
            _log.warning("step %s of operation %s: %s", held.slug, held.operation_id, verdict.why)
            self._engine.metrics.count(LOSSES)
            lose(self._engine, held, is_gone=verdict.is_gone, why=verdict.why)

    def _is_silent(self, worker_id: int | None, heartbeat: int | None) -> bool:
        if worker_id == self._engine.incarnation.worker_id:
            return False  # this process is running, so it is not silent
        return self._leases.has_stood_still(worker_id, heartbeat)

    def _is_stopped(self, held: HeldClaim) -> bool:
        if not is_here(held) or held.process is None or held.process == os.getpid():
            return False
        mark = "stopped" if is_stopped(held.process) else object()
        return self._leases.has_stood_still((held.process, held.process_start), mark)

    def _is_idle(self, held: HeldClaim) -> bool:
        """Return whether a process of this worker has held the claim for a lease without running its operation.

        A commit without an answer leaves such a claim, and so does a slice ended by an exception from a signal handler.
        """
        if held.worker_id != self._engine.incarnation.worker_id or held.process is None or self._is_at_work is None:
            return False
        if self._is_at_work(held.process, held.operation_id):
            return False
        return self._leases.has_stood_still(("idle", held.operation_id, held.number), held.claim)

    def _is_gone(self, held: HeldClaim) -> bool:
        """Return whether the holder ended without our doing: its process is gone, or its machine was rebooted."""
        if not is_here(held):
            return self._was_rebooted(held)
        if held.pid is not None and held.start_time is not None and is_gone(held.pid, held.start_time):
            return killed(held)  # its worker has ended, so kill the process of the pool that outlived it
        return _is_process_gone(held) and self._may_say_why(held)

    def _may_say_why(self, held: HeldClaim) -> bool:
        """Return whether this worker may report why a process of a live worker is gone.

        The owning worker has a lease to report first: it may have killed the process itself for its time limit.
        """
        if held.worker_id == self._engine.incarnation.worker_id:
            return True
        return self._leases.has_stood_still(("gone", held.process, held.process_start), held.claim)

    def _is_proven_gone(self, held: HeldClaim) -> bool:
        """Return whether the holder has ended, killing it if needed; this process itself is not killed here."""
        if not is_here(held) or held.process == os.getpid():
            return self._was_rebooted(held)
        if held.pid is not None and held.start_time is not None and self._is_silent(held.worker_id, held.heartbeat):
            kill(held.pid, held.start_time)
        elif is_own_process(held):  # a worker whose pool has no processes: it releases its claims itself
            return _is_process_gone(held)
        return killed(held)

    def _was_rebooted(self, held: HeldClaim) -> bool:
        """Return whether the holder's machine was rebooted since the claim.

        An SQLite file is used by one machine, so a different boot id is an earlier boot; otherwise compare machine ids
        too.
        """
        (machine, boot), (here, boot_here) = machine_and_boot(held.boot_id), machine_and_boot(this_boot())
        if not boot or not boot_here or boot == boot_here:
            return False
        return self._engine.database.is_sqlite or (held.host == this_host() and bool(machine) and machine == here)


def _is_process_gone(held: HeldClaim) -> bool:
    return held.process is not None and held.process_start is not None and is_gone(held.process, held.process_start)


class RecoveryThread:
    """Checks all claims several times per lease until it is stopped; each worker has one, in its main process."""

    def __init__(
        self, engine: Engine, watchdog: BrokerWatchdog | None = None, is_at_work: IsAtWork | None = None
    ) -> None:
        self._engine = engine
        self._watchdog = watchdog
        self.recovery = Recovery(engine, is_at_work)
        self._called = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call(self) -> None:
        """Check now: a process has ended, or is about to."""
        self._called.set()

    def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._is_stopped = True
        self._called.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopped:
            for look in (self.recovery.look, self._look_aside):
                try:
                    look()
                except Exception:  # the database is locked or unreachable; the next round tries again
                    _log.exception("checking the claims failed")
            self._called.wait(self._engine.period())
            self._called.clear()
        self._engine.database.close()

    def _look_aside(self) -> None:
        if self._engine.incarnation.errands:
            self._engine.incarnation.errands.look()
        if self._watchdog:
            self._watchdog.look()


class Delivery(Request):
    """A delivery of a slice, as the main process of the worker sees it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        with _adding:  # before it is given to the pool, and so before it can claim anything
            _taken.add(self)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Record which step is about to be killed for its time limit; recovery ends it once its process is gone."""
        recoverer = self.recoverer
        if not soft and recoverer:
            operation_id, number = self.args
            recoverer.recovery.note_time_limit(operation_id, number, int(self.worker_pid or 0), timeout)
        super().on_timeout(soft, timeout)
        if recoverer:
            recoverer.call()

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Start a recovery round at once: the process may have died while running a step."""
        if self.recoverer:
            self.recoverer.call()
        return super().on_failure(exc_info, *args, **options)

    @property
    def recoverer(self) -> Recovers | None:
        """Return the recovery thread of this worker."""
        return this_engine().incarnation.recoverer


#: The deliveries that this worker has taken; weak references, so that ended ones disappear by themselves.
_taken: WeakSet[Delivery] = WeakSet()
_adding = threading.Lock()


def forget(delivery: object) -> None:
    """Stop counting a delivery as taken: it was returned to the broker."""
    with _adding:
        _taken.discard(delivery)  # type: ignore[arg-type] # those of other tasks are not in it


def is_at_work(process: int, operation_id: int) -> bool:
    """Return whether a process of this worker runs a slice of that operation, or may be about to.

    A delivery counts from its receipt until the pool reports its end; its process is known once the pool reports its
    start.
    """
    with _adding:
        taken = list(_taken)
    return any(_is_of(one, process) for one in taken if one.args and one.args[0] == operation_id)


def _is_of(delivery: Delivery, process: int) -> bool:
    if delivery.worker_pid is None:
        return True
    return int(delivery.worker_pid) == process and delivery in active_deliveries()
