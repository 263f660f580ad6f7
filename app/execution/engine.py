"""What every part of the execution shares: the database, the publisher, the limits of a slice, and who we are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from app import clock
from app.domain.sealing import Keys
from app.execution.incarnation import Incarnation
from app.execution.leaving import Leaving
from app.processes import start_of, this_process
from app.results.references import LARGE
from app.store.steps import Holder
from app.store.workers import register_worker

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from celery import Celery

    from app.execution.bell import Bell
    from app.execution.notices import Notices
    from app.execution.policies import Policies
    from app.execution.publishing import Publisher
    from app.execution.tallying import Tallies
    from app.results.base import Result
    from app.store.database import Database

#: Beats of the heart, and looks at the hearts of others, in one lease; and the seconds between two at the most.
_IN_A_LEASE: Final = 5
_LONGEST: Final = 2.0
#: Seconds between two looks whether the worker has been registered.
_A_LOOK: Final = 0.05


@dataclass(frozen=True, slots=True)
class Engine:
    """Handed to every function of this package that touches the database or the broker; all times are in seconds.

    `lease` is how long a worker may be silent before its claims are taken away, `max_losses` how often that may happen
    to one step, `republish_after` when a queued step is first published again, `grace` what a leaving worker has.
    """

    app: Celery
    database: Database
    publisher: Publisher
    workflow_store: Path
    slice_seconds: float
    slice_steps: int
    lease: float
    max_losses: int
    republish_after: float
    grace: float
    tallies: Tallies
    policies: Policies
    notices: Notices
    #: Where results are kept that are not in the table, unless a step or workflow says otherwise.
    results: Result
    #: Whether targets are read and written.
    checkpointing: bool = True
    #: Characters of a result in the table at the most.
    large: int = LARGE
    #: What documents are signed with.
    keys: Keys = field(default_factory=Keys)
    incarnation: Incarnation = field(default_factory=Incarnation)
    leaving: Leaving = field(default_factory=Leaving)

    def holder(self) -> Holder:
        """Who holds the claims that this process makes; `enter` goes before."""
        pid = os.getpid()
        return Holder(self.incarnation.worker_id, pid, _own_start(pid))

    def attend(self, bell: Bell) -> None:
        """Make this process the main one of a worker: what it forks belongs to it, and wakes it by the bell.

        It is not in the table yet: `register` enters it, as often as that takes.
        """
        self.incarnation.bell, self.incarnation.pid = bell, os.getpid()

    def register(self, queues: Collection[str] | None = None) -> None:
        """Enter the worker in the table, as one that takes messages from these queues."""
        with self.database.write() as tx:
            worker_id = register_worker(tx, this_process(), clock.now(), queues)
        self.incarnation.worker_id = worker_id

    def enter(self) -> bool:
        """Be in the table, as every holder of a claim is; False where that cannot be, since the worker is leaving.

        A process of a worker waits until the main process has registered. Another program enters itself: it is noted
        as one that takes no messages.
        """
        while self.incarnation.worker_id is None:
            if not self.incarnation.is_worker:
                with self.database.write() as tx:
                    worker_id = register_worker(tx, this_process(), clock.now(), is_worker=False)
                self.incarnation.own(worker_id)
            elif self.leaving.is_set:
                return False
            else:
                time.sleep(_A_LOOK)
        return True

    def wake_sweeper(self) -> None:
        """Tell the sweeper of this worker that something is due; outside a worker there is none."""
        self.incarnation.ring()

    def expect(self, due: float | None) -> None:
        """Have a worker look when something is due, where its next look would come later; call it after the commit.

        Args:
            due: When that is, in seconds since the epoch; None for nothing.
        """
        if due is None or due - clock.now() > 2 * self.period():
            return
        if self.incarnation.is_worker:
            self.incarnation.ring()
        else:
            self.publisher.wake()

    def period(self) -> float:
        """Seconds between two beats, and between two sweeps when nothing is due earlier."""
        return min(_LONGEST, self.lease / _IN_A_LEASE)


@lru_cache(maxsize=1)
def _own_start(pid: int) -> int:
    return start_of(pid) or 0
