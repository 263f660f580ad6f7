"""The real engine, driven along the moves of the model: one real function for each, on a real table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from pausable import clock
from pausable.db.claims import held_claims, lost_claims_of
from pausable.db.workers import register_worker
from pausable.engine import release
from pausable.engine.engine import Incarnation
from pausable.model.states import ENDED, Completion, StepState
from pausable.processes import Process
from pausable.service.operations import Commands
from pausable.worker.sweeper import sweep
from tests.model.gates import Mortal, Staying
from tests.model.hands import Hand
from tests.model.state import NOBODY, THE_DEAD, WEB, Claim, Lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.claims import HeldClaim
    from pausable.engine.engine import Engine
    from tests.execution.service import Service
    from tests.model.clauses import Move
    from tests.model.state import State

_DAY = 86400.0
#: After so many rounds an operation that has not ended never will.
_ROUNDS = 9


@dataclass
class Worker:
    """A worker as the engine knows it, and the hand that does its work, if it has any."""

    engine: Engine
    worker_id: int
    hand: Hand | None = None


@dataclass
class Driven:
    """One operation on the real engine, and the actors of the model as it knows them."""

    service: Service
    time: clock.FrozenClock
    operation: int = 0
    messages: list[int] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    web: Hand | None = None
    _hands: list[Hand] = field(default_factory=list)
    _pids: Iterator[int] = field(default_factory=count)

    def start(self, workflow: str = "branch", **arguments: Any) -> None:
        """A new operation and new workers, and nothing left of what was before."""
        for hand in self._hands:
            hand.end_job()
        self.service.change("DELETE FROM operations")
        self.service.change("DELETE FROM witnessed")
        self.workers, self.web, self.messages = [self._worker(), self._worker()], None, []
        self.operation = self.service.start(workflow, **arguments)
        self._collect()

    def close(self) -> None:
        """End the threads."""
        for hand in self._hands:
            hand.end()

    def make(self, move: Move) -> None:
        """Do what the move tells of."""
        getattr(self, f"_{move.name.replace(' ', '_')}")(move)
        self._let_go()
        self._collect()

    def trim(self, messages: tuple[int, ...]) -> None:
        """Take away what the model counts no more: of a message that is there already it counts no second."""
        for step, counted in enumerate(messages):
            while self.messages.count(step) > counted > 0:
                self.messages.remove(step)

    # What workers do.

    def _deliver(self, move: Move) -> None:
        worker = self.workers[move.actor]
        self.messages.remove(move.step)
        worker.hand = self._free_hand()
        worker.hand.begin(worker.engine, partial(self.service.deliver_step, self.operation, move.step))

    def _settle(self, move: Move) -> None:
        self._hand_of(move).go_on()

    def _hand_over(self, move: Move) -> None:
        shutdown: Any = self.workers[move.actor].engine.shutdown
        shutdown.set()
        self._hand_of(move).go_on()
        shutdown.stay()

    def _settle_and_die(self, move: Move) -> None:
        hand = self._hand_of(move)
        hand.is_doomed = True
        hand.go_on()
        assert hand.at is None, "it did not die"
        self.workers[move.actor] = self._worker()

    def _write(self, move: Move) -> None:
        self._hand_of(move).go_on()

    # What befalls them, and what others make of it.

    def _kill(self, move: Move) -> None:
        self._hand_of(move).kill()
        if move.actor == WEB:
            self.web = None
        else:
            self.workers[move.actor] = self._worker()

    def _stop(self, move: Move) -> None:
        """Nobody lets its hand go on."""

    def _continue(self, move: Move) -> None:
        """Its hand may go on again."""

    def _lose(self, move: Move) -> None:
        release.lose(self.service.engine, self._held(move.step), is_gone=True, why="it is gone")

    def _kill_and_lose(self, move: Move) -> None:
        held = self._held(move.step)
        (number,) = [number for number, one in enumerate(self.workers) if one.worker_id == held.worker_id]
        self._kill(move._replace(actor=number))
        self._lose(move)

    def _lose_unproven(self, move: Move) -> None:
        release.lose(self.service.engine, self._held(move.step), is_gone=False, why="it is silent")

    def _confirm(self, move: Move) -> None:
        alive = {worker.worker_id for worker in self.workers}
        with self.service.engine.database.read() as tx:
            lost = [one for one in lost_claims_of(tx, self.operation) if one.number == move.step]
        gone = next(one for one in lost if one.worker_id not in alive)
        release.confirm(self.service.engine, self.operation, gone.number, gone.claim)

    def _sweep(self, _move: Move | None = None) -> None:
        self.time.advance(_DAY)
        sweep(self.service.engine)

    def _lose_message(self, move: Move) -> None:
        self.messages.remove(move.step)

    def _duplicate(self, move: Move) -> None:
        self.messages.append(move.step)

    # What people ask for.

    def _pause(self, move: Move) -> None:
        self._ask("pause")

    def _pause_and_die(self, move: Move) -> None:
        self._ask("pause", dies=True)

    def _resume(self, move: Move) -> None:
        self._ask("resume")

    def _resume_and_die(self, move: Move) -> None:
        self._ask("resume", dies=True)

    def _cancel(self, move: Move) -> None:
        self.service.cancel(self.operation)

    def _ask(self, command: str, *, dies: bool = False) -> None:
        """A web process does what is asked; one that was still writing for somebody else comes too late."""
        late, hand = self.web, self._free_hand()
        mortal: Any = Mortal(self.service.engine.publisher)
        engine = replace(self.service.engine, publisher=mortal)
        commands: Any = Commands(engine, self.service.commands.workflows)
        hand.is_doomed = dies
        hand.begin(engine, partial(getattr(commands, command), self.service.ada, self.operation))
        self.web = hand
        if late:
            late.go_on()

    def recover(self) -> None:
        """Let everything that is in hand die, and whoever is left do the rest, as often as a person must say go on."""
        for hand in self._hands:
            hand.end_job()
        self.workers, self.web = [self._worker(), self._worker()], None
        engine = self.service.engine
        for _ in range(_ROUNDS):
            if self.service.completion(self.operation) in ENDED:
                return
            with engine.database.read() as tx:
                held, lost = held_claims(tx), lost_claims_of(tx)
            for one in held:
                release.lose(engine, one, is_gone=True, why="it is gone")
            for one in lost:
                release.confirm(engine, one.operation_id, one.number, one.claim)
            if self.service.completion(self.operation) in (Completion.PAUSED, Completion.REQUESTING_PAUSE):
                self.service.resume(self.operation)
            self._sweep()
            self.service.deliver_all()

    # Looking.

    def rows(self) -> tuple[Any, ...]:
        """The operation, its steps and its lost claims as the table has them, in the words of the model."""
        found = _read(self.service, _STEPS, self.operation)
        steps = tuple(
            (StepState(state), claim, waiting, self._actor(worker_id), recorded)
            for state, claim, waiting, worker_id, recorded in found
        )
        with self.service.engine.database.read() as tx:
            lost = lost_claims_of(tx, self.operation)
        kept = frozenset(Lost(Claim(one.number, one.claim), self._actor(one.worker_id)) for one in lost)
        return self.service.completion(self.operation), steps, kept

    def hands(self) -> list[tuple[int, bool]]:
        """Of the workers and the web process: whose code each runs, or -1, and whether it writes workflow.json."""
        return [_doing(hand) for hand in (*(worker.hand for worker in self.workers), self.web)]

    def _actor(self, worker_id: int | None) -> int:
        if worker_id is None:
            return NOBODY
        return next((number for number, one in enumerate(self.workers) if one.worker_id == worker_id), THE_DEAD)

    def _held(self, step: int) -> HeldClaim:
        with self.service.engine.database.read() as tx:
            return next(one for one in held_claims(tx) if one.number == step)

    def _hand_of(self, move: Move) -> Hand:
        hand = self.web if move.actor == WEB else self.workers[move.actor].hand
        assert hand is not None
        return hand

    def _free_hand(self) -> Hand:
        free = next((hand for hand in self._hands if hand.at is None), None)
        if free is None:
            free = Hand(self.service.engine.database.close)
            self._hands.append(free)
        return free

    def _worker(self) -> Worker:
        engine = self.service.engine
        with engine.database.write() as tx:
            worker_id = register_worker(tx, Process("elsewhere", "boot", next(self._pids), 1), clock.now())
        mine = Incarnation(worker_id)
        mortal: Any = Mortal(engine.publisher)
        return Worker(replace(engine, incarnation=mine, shutdown=Staying(), publisher=mortal), worker_id)

    def _let_go(self) -> None:
        """Free the hands that are done."""
        for worker in self.workers:
            worker.hand = worker.hand if worker.hand and worker.hand.at else None
        self.web = self.web if self.web and self.web.at else None

    def _collect(self) -> None:
        """Take over what was published: the model's broker is a list."""
        while self.service.messages():
            self.messages.append(self.service.take()[1])


_STEPS = """
SELECT state, claim, waiting, worker_id, (
    SELECT count(*) FROM witnessed
    WHERE witnessed.operation_id = steps.operation_id AND witnessed.number = steps.number AND new = 'Success'
) FROM steps WHERE operation_id = ? ORDER BY number
"""


def _doing(hand: Hand | None) -> tuple[int, bool]:
    at = hand.at if hand else None
    return (at[1], False) if at and at[0] == "code" else (-1, bool(at))


def _read(service: Service, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with service.engine.database.read() as tx:
        driver: Any = tx.connection.driver_connection
        rows: list[tuple[Any, ...]] = driver.execute(statement, parameters).fetchall()
    return rows


def rows_in(state: State) -> tuple[Any, ...]:
    """What the table holds in a state of the model."""
    return state.completion, tuple(step[:5] for step in state.steps), state.lost


def hands_in(state: State) -> list[tuple[int, bool]]:
    """What the hands do in a state of the model."""
    return [(actor.runs.step, bool(actor.writes)) for actor in (*state.workers, state.web)]
