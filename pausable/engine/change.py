"""The form of a transaction that changes an operation: lock its row, change it, and act once that is committed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from pausable import clock
from pausable.db.database import retry_outages
from pausable.db.history import append_event
from pausable.db.operations import lock_operation, save, written
from pausable.engine.announce import Announcer
from pausable.errors import OperationNotFound, VersionPassed
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine

T = TypeVar("T")


#: Where an operation rests: state handlers are told of that, and cannot change it.
_RESTS: Final = frozenset({Completion.PAUSED, Completion.CANCELLED})


class Change:
    """One operation whose row is locked until the transaction ends; what is to follow the commit is collected here."""

    def __init__(self, engine: Engine, tx: Connection, operation: Operation) -> None:
        self.engine = engine
        self.tx = tx
        #: The operation as it stands: as it was locked, and after `save` and `move` as these have written it.
        self.operation = operation
        self.now = clock.now()
        self._after_commit: list[Callable[[], object]] = []

    @property
    def announcer(self) -> Announcer:
        """Writes notifications within this transaction."""
        return Announcer(self.tx, self.engine, self.now)

    def save(self, after: Operation, *, is_quiet: bool = False) -> Operation:
        """Write the row; return it as it was written.

        Raises:
            MoveRefused: The table of moves has no such move.
            VersionPassed: A step of the operation runs, or may run at a lost worker, and it is written only where
                `is_quiet`.
        """
        if not save(self.tx, self.operation, after, is_quiet=is_quiet):
            raise VersionPassed(after.id, self.operation.version)
        self.operation = written(self.operation, after)
        return self.operation

    def move(
        self, after: Operation, *, who: str, why: str | None = None, is_news: bool = False, is_quiet: bool = False
    ) -> Operation:
        """Write the row and append to the history from where to where the operation has moved.

        Args:
            after: The operation as it is to stand.
            who: Who moves it.
            why: What the history says beside that.
            is_news: Whether people who have asked for notifications of the operation are sent one; state handlers are
                told, too, when it was paused or cancelled.
            is_quiet: Whether it is written only where no step of it runs, or may run at a lost worker.

        Returns:
            The operation as it was written.

        Raises:
            MoveRefused: The table of moves has no such move.
            VersionPassed: A step of it runs, or may run, although it was to be quiet.
        """
        before = self.operation
        now = self.save(after, is_quiet=is_quiet)
        self.tell(who=who, old=before.completion, new=now.completion, why=why)
        if is_news:
            announce = self.announcer.rest if now.completion in _RESTS else self.announcer.operation
            if announce(before, now):
                self.wake()
        return now

    def tell(self, *, who: str, old: str, new: str, why: str | None = None, step: str | None = None) -> None:
        """Append an event to the history: of the operation itself, or of one of its steps, which is named by its slug.

        Args:
            who: Who has made the change.
            old: Where it stood before.
            new: Where it stands now.
            why: What the history says beside that.
            step: The slug of the step.
        """
        append_event(self.tx, self.operation.id, at=self.now, who=who, old=old, new=new, why=why, step=step)

    def publish(self, steps: Sequence[StepTask]) -> None:
        """Publish these steps once the change is committed."""
        if steps:
            self.then(lambda: self.engine.publisher.publish(self.operation.id, steps))

    def expect(self, due: float | None) -> None:
        """Have a worker look when something is due, in seconds since the epoch, once the change is committed."""
        self.then(lambda: self.engine.expect(due))

    def wake(self) -> None:
        """Wake the sweeper of this worker, if it is one, once the change is committed."""
        self.then(self.engine.wake_sweeper)

    def then(self, act: Callable[[], object]) -> None:
        """Do something once the change is committed, after what was asked for before."""
        self._after_commit.append(act)

    def finish(self) -> None:
        """Do what was collected."""
        for act in self._after_commit:
            act()


@contextmanager
def changing(engine: Engine, operation_id: int, *, survives_power_cut: bool = True) -> Iterator[Change]:
    """Lock an operation for the block, commit what the block writes, and do then what it has collected.

    An exception within the block, or at its commit, undoes what was written and drops what was collected.

    Args:
        engine: The engine.
        operation_id: The operation.
        survives_power_cut: Whether the commit is waited for until it is on the disk: see `Database.write`.

    Yields:
        The change.

    Raises:
        OperationNotFound: There is no such operation.
    """
    with engine.database.write(survives_power_cut=survives_power_cut) as tx:
        operation = lock_operation(tx, operation_id)
        if operation is None:
            raise OperationNotFound(operation_id)
        change = Change(engine, tx, operation)
        yield change
    change.finish()


def until_committed(attempt: Callable[[], T], made: Callable[[], T | None]) -> T:
    """Attempt a change as often as the database refuses for the moment; a commit that gave no answer is looked for.

    Args:
        attempt: Makes the change.
        made: Returns what an earlier attempt has made, None where it has made nothing; it is asked before each further
            attempt.

    Returns:
        What the attempt that was committed has returned, or what `made` has found.
    """
    is_first = True

    def once() -> T:
        nonlocal is_first
        found = None if is_first else made()
        is_first = False
        return attempt() if found is None else found

    return retry_outages(once)
