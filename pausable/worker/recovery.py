"""Recovery: find the claims whose holders are lost, and prove that a lost holder is gone."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from celery.worker import state
from celery.worker.request import Request

from pausable import clock
from pausable.db.claims import held_claims, lost_claims_of
from pausable.db.database import isolate
from pausable.db.workers import beating_workers, lose_worker
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

#: Looks in a row at which it must be found deaf: a message that has just come may be on its way.
_LOOKS: Final = 3
#: Seconds between two looks at the least.
_APART: Final = 1.0

_log: Final = logging.getLogger(__name__)


class BrokerWatchdog:
    """Looked after by the sweeper, in the worker's main process."""

    def __init__(self, engine: Engine, queues: Collection[str], is_connected: Callable[[], bool]) -> None:
        self._engine = engine
        self._is_connected = is_connected
        self._queues = tuple(queues)
        self._heard = 0
        self._looked_at = clock.monotonic()
        self._deaf = 0

    def look(self) -> None:
        """End this worker when it has been found deaf too often; whoever keeps it starts it anew."""
        if clock.monotonic() - self._looked_at < max(_APART, self._engine.lease / _LOOKS):
            return
        self._looked_at = clock.monotonic()
        self._deaf = self._deaf + 1 if self._is_deaf() else 0
        if self._deaf >= _LOOKS:
            _log.critical("this worker idles although messages wait for it: it ends, to be started anew")
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_deaf(self) -> bool:
        heard, self._heard = self._heard, state.all_total_count[0]
        is_busy = heard != self._heard or bool(state.reserved_requests) or bool(state.active_requests)
        if is_busy or not self._is_connected():
            return False
        return any(self._engine.publisher.depth(queue) for queue in self._queues)


class Leases:
    """What was seen at each look, and since when it has not changed; `lease` is in seconds."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[Hashable, tuple[Any, float]] = {}
        self._before: dict[Hashable, tuple[Any, float]] = {}
        self._looked_at = float("-inf")

    def look(self, *, is_beating: bool = True) -> None:
        """Begin a look; what the last one did not ask for is forgotten.

        A watcher who has not looked for a whole lease was stopped, perhaps with everybody else, and one whose own heart
        could not beat tells by nobody's: it starts anew, or it would take all of them for dead when they go on.
        """
        now = clock.monotonic()
        has_slept = now - self._looked_at > self._lease or not is_beating
        self._before, self._seen, self._looked_at = {} if has_slept else self._seen, {}, now

    def has_stood_still(self, key: Hashable, mark: Any) -> bool:
        """Whether `key` has shown the same mark at every look for a whole lease."""
        seen = self._seen.get(key) or self._before.get(key)
        if seen is None or seen[0] != mark:
            seen = (mark, self._looked_at)
        self._seen[key] = seen
        return self._looked_at - seen[1] >= self._lease


if TYPE_CHECKING:
    #: Whether a process of this worker, known by its id, runs a slice of an operation, or may be about to.
    IsAtWork = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a holder counts as lost, and whether it was seen to be gone."""

    why: str
    is_gone: bool


class Recovery:
    """What one worker knows of the others, from look to look.

    `is_at_work` tells what its own processes run; where nobody can tell, a claim of a process that lives is never lost.
    """

    def __init__(self, engine: Engine, is_at_work: IsAtWork | None = None) -> None:
        self._engine = engine
        self._is_at_work = is_at_work
        self._leases = Leases(engine.lease)
        self._timed_out: dict[tuple[int, int, int], float] = {}

    def note_time_limit(self, operation_id: int, number: int, process: int, seconds: float) -> None:
        """Remember that the process which runs this step is killed for its hard time limit of so many seconds."""
        self._timed_out[operation_id, number, process] = seconds

    def look(self) -> None:
        """Look at every claim once: take away those whose holders are lost, confirm those whose holders are gone."""
        self._leases.look(is_beating=self._is_beating())
        self._look_at_workers()
        with self._engine.database.glance() as tx:
            held = held_claims(tx)
        for claim in held:
            with isolate(claim.operation_id, "the look at a claim"):
                if verdict := self._verdict(claim):
                    self._take_away(claim, verdict)
        with self._engine.database.glance() as tx:
            lost = lost_claims_of(tx)
        for claim in lost:
            with isolate(claim.operation_id, "the look at a lost claim"):
                if self._is_proven_gone(claim):
                    confirm(self._engine, claim.operation_id, claim.number, claim.claim)

    def _is_beating(self) -> bool:
        """Whether its own heart beats; where it cannot, nobody else's may be able to either."""
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
            if is_silent and is_here(one):  # it is of no use as it is: whoever keeps it starts it anew
                kill(one.pid, one.start_time)
            if is_dead or is_silent:
                with self._engine.database.write() as tx:
                    lose_worker(tx, one.id, clock.now())

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
            # That it ends is the last word of a worker's main process; one of its pool may have outlived it.
            is_gone = verdict.is_gone or is_own_process(held)
            hand_back(self._engine, held, is_gone=is_gone, why="its worker ended before it")
        else:
            _log.warning("step %s of operation %s: %s", held.slug, held.operation_id, verdict.why)
            self._engine.tallies.count(LOSSES)
            lose(self._engine, held, is_gone=verdict.is_gone, why=verdict.why)

    def _is_silent(self, worker_id: int | None, heartbeat: int | None) -> bool:
        if worker_id == self._engine.incarnation.worker_id:
            return False  # whoever looks is not silent
        return self._leases.has_stood_still(worker_id, heartbeat)

    def _is_stopped(self, held: HeldClaim) -> bool:
        if not is_here(held) or held.process is None or held.process == os.getpid():
            return False
        mark = "stopped" if is_stopped(held.process) else object()
        return self._leases.has_stood_still((held.process, held.process_start), mark)

    def _is_idle(self, held: HeldClaim) -> bool:
        """Whether a process of this very worker has held the claim for a lease without running anything of it.

        That is how a claim is left whose commit gave no answer, or whose slice was ended by what a signal raised.
        """
        if held.worker_id != self._engine.incarnation.worker_id or held.process is None or self._is_at_work is None:
            return False
        if self._is_at_work(held.process, held.operation_id):
            return False
        return self._leases.has_stood_still(("idle", held.operation_id, held.number), held.claim)

    def _is_gone(self, held: HeldClaim) -> bool:
        """Whether the holder is gone by itself: its process, or the machine as it was."""
        if not is_here(held):
            return self._was_rebooted(held)
        if held.pid is not None and held.start_time is not None and is_gone(held.pid, held.start_time):
            return killed(held)  # its worker is dead: a process of its pool that still runs has nobody any more
        return _is_process_gone(held) and self._may_say_why(held)

    def _may_say_why(self, held: HeldClaim) -> bool:
        """Whether it is for this worker to say why a process is gone whose worker lives.

        That worker is asked first, for a lease: it may have killed the process itself, for its time limit.
        """
        if held.worker_id == self._engine.incarnation.worker_id:
            return True
        return self._leases.has_stood_still(("gone", held.process, held.process_start), held.claim)

    def _is_proven_gone(self, held: HeldClaim) -> bool:
        """Whether the holder runs no more, killed if need be; its own process cannot be, and ends by itself."""
        if not is_here(held) or held.process == os.getpid():
            return self._was_rebooted(held)
        if held.pid is not None and held.start_time is not None and self._is_silent(held.worker_id, held.heartbeat):
            kill(held.pid, held.start_time)
        elif is_own_process(held):  # a worker without a pool of processes, which lets go by itself
            return _is_process_gone(held)
        return killed(held)

    def _was_rebooted(self, held: HeldClaim) -> bool:
        """Whether the machine of the holder has been started anew since.

        An SQLite file is used from one machine, so any other boot was before this one; else the machines are compared.
        """
        (machine, boot), (here, boot_here) = machine_and_boot(held.boot_id), machine_and_boot(this_boot())
        if not boot or not boot_here or boot == boot_here:
            return False
        return self._engine.database.is_sqlite or (held.host == this_host() and bool(machine) and machine == here)


def _is_process_gone(held: HeldClaim) -> bool:
    return held.process is not None and held.process_start is not None and is_gone(held.process, held.process_start)


class RecoveryThread:
    """Looks at all claims several times in a lease, until it is stopped; one for each worker, in its main process."""

    def __init__(
        self, engine: Engine, attention: BrokerWatchdog | None = None, is_at_work: IsAtWork | None = None
    ) -> None:
        self._engine = engine
        self._attention = attention
        self.recovery = Recovery(engine, is_at_work)
        self._called = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def call(self) -> None:
        """Look now: a process has died, or is about to."""
        self._called.set()

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        self._called.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopped:
            for look in (self.recovery.look, self._look_aside):
                try:
                    look()
                except Exception:  # the database is locked or gone: the next look may find it again
                    _log.exception("a look at the claims failed")
            self._called.wait(self._engine.period())
            self._called.clear()
        self._engine.database.close()

    def _look_aside(self) -> None:
        if self._engine.incarnation.errands:
            self._engine.incarnation.errands.look()
        if self._attention:
            self._attention.look()


class Delivery(Request):
    """One delivery of a slice, as the worker's main process sees it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        with _adding:  # before it is given to the pool, and so before anything can be claimed by it
            _taken.add(self)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Note which step is about to be killed for its time limit; recovery ends it once its process is gone."""
        recoverer = self.recoverer
        if not soft and recoverer:
            operation_id, number = self.args
            recoverer.recovery.note_time_limit(operation_id, number, int(self.worker_pid or 0), timeout)
        super().on_timeout(soft, timeout)
        if recoverer:
            recoverer.call()

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Have recovery look at once: the process may have died with a step in its hands."""
        if self.recoverer:
            self.recoverer.call()
        return super().on_failure(exc_info, *args, **options)

    @property
    def recoverer(self) -> Recovers | None:
        """What recovers in this worker."""
        return this_engine().incarnation.recoverer


#: The deliveries that this worker has taken; those that have ended are nobody's any more and go by themselves.
_taken: WeakSet[Delivery] = WeakSet()
_adding = threading.Lock()


def forget(delivery: object) -> None:
    """Count a delivery as taken no more: the broker has it again."""
    with _adding:
        _taken.discard(delivery)  # type: ignore[arg-type] # those of other tasks are not in it


def is_at_work(process: int, operation_id: int) -> bool:
    """Whether a process of this worker runs a slice of that operation, or may be about to.

    A delivery counts from the moment it is taken from the broker until the pool has told that it ended: its process is
    known once the pool has told that it began.
    """
    with _adding:
        taken = list(_taken)
    return any(_is_of(one, process) for one in taken if one.args and one.args[0] == operation_id)


def _is_of(delivery: Delivery, process: int) -> bool:
    if delivery.worker_pid is None:
        return True
    return int(delivery.worker_pid) == process and delivery in state.active_requests
