"""Recovery: finding the claims whose holders are lost, and proving that a lost holder runs nothing any more.

Every worker does this for all; none is needed in particular. A holder is lost when its process is gone or when its
worker's heart has stood still for a lease. It is proven gone only where its process can be looked at.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app import clock
from app.execution.apart import apart
from app.execution.holders import is_here, is_own_process, killed, machine_and_boot
from app.execution.leases import Leases
from app.execution.losing import confirm, end_in_time, hand_back, lose
from app.execution.tallying import LOSSES
from app.processes import is_gone, is_stopped, kill, this_boot, this_host
from app.store.claims import held_claims, lost_claims_of
from app.store.workers import beating_workers, lose_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.execution.engine import Engine
    from app.store.claims import HeldClaim

    #: Whether a process of this worker, known by its id, runs a slice of an operation, or may be about to.
    IsAtWork = Callable[[int, int], bool]

_log: Final = logging.getLogger(__name__)


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
            with apart(claim.operation_id, "the look at a claim"):
                if verdict := self._verdict(claim):
                    self._take_away(claim, verdict)
        with self._engine.database.glance() as tx:
            lost = lost_claims_of(tx)
        for claim in lost:
            with apart(claim.operation_id, "the look at a lost claim"):
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
