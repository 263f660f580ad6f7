"""Whatever happens to an operation of whatever shape, in whatever order: what must hold, holds after every move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pausable.db.claims import held_claims, lost_claims_of
from pausable.db.steps import list_steps
from pausable.model.states import CLAIMABLE, ENDED, REQUESTING, Completion, StepState
from tests.amounts import usually
from tests.execution.witness import illegal_moves, times_recorded
from tests.model.clauses import Move
from tests.model.state import WEB

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.claims import HeldClaim
    from pausable.db.steps import StepRow
    from tests.model.driving import Driven

_C, _S = Completion, StepState
_PAUSABLE = (_C.REQUESTING_PAUSE, _C.PAUSED)
NOWHERE: Any = None

#: Nested to any depth, and never so small that nothing can happen beside or behind a step.
STEP = st.just(1)


def _of_parts(kind: str, part: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(part, min_size=2, max_size=most).map(lambda parts: [kind, *parts])


PARTS = st.recursive(
    STEP, lambda part: st.sampled_from(["group", "chain"]).flatmap(lambda kind: _of_parts(kind, part)), max_leaves=5
)
WHOLE = _of_parts("chain", PARTS)


class AnyOrder(RuleBasedStateMachine):
    """Two workers, a web process and a broker, to whom anything may happen at any time."""

    results: dict[str, str | None] = {}  # noqa: RUF012 - of every shape that was ever run undisturbed

    def __init__(self, driven: Driven) -> None:
        super().__init__()
        self.driven = driven
        self.shape: Any = None
        self.is_cancelled = False

    @initialize(shape=WHOLE)
    def start(self, shape: list[Any]) -> None:
        """Run it undisturbed, and start it anew."""
        self.shape = str(shape)
        if self.shape not in self.results:
            self.driven.start("weave", shape=shape)
            self.driven.recover()
            self.results[self.shape] = self.driven.service.show(self.driven.operation).result
        self.driven.start("weave", shape=shape)

    # What happens.

    @precondition(lambda self: self.driven.messages and self.idle())
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A worker takes a message."""
        self.make("deliver", data.draw(st.sampled_from(self.idle())), data.draw(st.sampled_from(self.driven.messages)))

    @precondition(lambda self: self.at("code"))
    @rule(data=st.data(), how=st.sampled_from(["settle", "settle", "settle", "hand over", "settle and die"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        """The code of a step returns."""
        self.make(how, data.draw(st.sampled_from(self.at("code"))))

    @precondition(lambda self: self.at("write"))
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """Somebody has written workflow.json."""
        self.make("write", data.draw(st.sampled_from(self.at("write"))))

    @precondition(lambda self: self.at("code", "write"))
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """A process dies with something in its hands."""
        self.make("kill", data.draw(st.sampled_from(self.at("code", "write"))))

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """The lease of a holder is over; one that lives cannot be proven gone, and may go on later."""
        held = data.draw(st.sampled_from(self.held()))
        self.make("lose unproven" if self.lives(held) else "lose", WEB, held.number)

    @precondition(lambda self: self.gone())
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        """A former holder is found to be gone."""
        self.make("confirm", WEB, data.draw(st.sampled_from(self.gone())).number)

    @rule()
    def sweep(self) -> None:
        """A worker sweeps, a day later."""
        self.make("sweep")

    @precondition(lambda self: self.driven.messages)
    @rule(data=st.data(), what=st.sampled_from(["lose message", "duplicate"]))
    def befall(self, data: st.DataObject, what: str) -> None:
        """A message is lost, or comes twice."""
        self.make(what, WEB, data.draw(st.sampled_from(self.driven.messages)))

    @precondition(lambda self: self.completion() in CLAIMABLE)
    @rule(how=st.sampled_from(["pause", "pause", "pause and die"]))
    def pause(self, how: str) -> None:
        """Somebody asks for a pause."""
        self.make(how)

    @precondition(lambda self: self.completion() in _PAUSABLE)
    @rule(how=st.sampled_from(["resume", "resume", "resume and die"]))
    def resume(self, how: str) -> None:
        """Somebody resumes, or withdraws the pause."""
        self.make(how)

    @precondition(lambda self: self.completion() not in ENDED | {_C.REQUESTING_CANCEL} and self.is_under_way())
    @rule(is_meant=st.booleans())
    def cancel(self, is_meant: bool) -> None:
        """Somebody cancels, seldom."""
        if is_meant:
            self.make("cancel")
            self.is_cancelled = True

    # What must hold.

    @invariant()
    def every_move_is_in_the_tables_and_every_step_recorded_once(self) -> None:
        """As the table itself has witnessed it."""
        assert illegal_moves(self.driven.service, self.driven.operation) == []
        assert set(times_recorded(self.driven.service, self.driven.operation).values()) <= {1}

    @invariant()
    def paused_means_that_nothing_is_claimed_and_no_holder_is_alive(self) -> None:
        """Quiescent: not even code that can write nothing any more."""
        if self.driven.operation and self.completion() is _C.PAUSED:
            assert self.held() == []
            assert self.lost() == []
            assert self.at("code") == []

    @invariant()
    def there_is_a_next_move(self) -> None:
        """A holder, a due time, a message that makes it move, or a sweep that finds it; or it is at rest."""
        if not self.driven.operation or self.completion() in ENDED | {_C.PAUSED} | REQUESTING:
            return  # what is requested is found by every sweep
        waits = [row for row in self.rows() if row.state in (_S.QUEUED, _S.RETRYING)]
        assert all(row.due_at is not None for row in waits)
        assert waits or self.held()

    def teardown(self) -> None:
        """Whatever was left behind: it ends, with the result of the run that nobody disturbed."""
        if not self.driven.operation:
            return
        self.driven.recover()
        end = self.completion()
        event(f"ends {end}")
        self.every_move_is_in_the_tables_and_every_step_recorded_once()
        if end is _C.COMPLETED:
            assert {row.state for row in self.rows()} == {_S.SUCCESS}
            assert self.driven.service.show(self.driven.operation).result == self.results[self.shape]
        else:
            assert (end, self.is_cancelled) == (_C.CANCELLED, True)

    # Looking.

    def make(self, name: str, actor: int = WEB, step: int = -1) -> None:
        self.driven.make(Move(name, actor, step, NOWHERE))

    def completion(self) -> Completion:
        return self.driven.service.completion(self.driven.operation)

    def rows(self) -> list[StepRow]:
        return self._looked_up(lambda tx: list_steps(tx, self.driven.operation))

    def held(self) -> list[HeldClaim]:
        return self._looked_up(held_claims)

    def lost(self) -> list[HeldClaim]:
        return self._looked_up(lost_claims_of)

    def gone(self) -> list[HeldClaim]:
        return [one for one in self.lost() if not self.lives(one)]

    def lives(self, held: HeldClaim) -> bool:
        return held.worker_id in [worker.worker_id for worker in self.driven.workers]

    def is_under_way(self) -> bool:
        return any(row.state is _S.SUCCESS for row in self.rows())

    def idle(self) -> list[int]:
        return [number for number, worker in enumerate(self.driven.workers) if worker.hand is None]

    def at(self, *gates: str) -> list[int]:
        """The workers, and the web process, that stand at one of these gates."""
        hands = [(number, worker.hand) for number, worker in enumerate(self.driven.workers)]
        return [number for number, hand in [*hands, (WEB, self.driven.web)] if hand and hand.at and hand.at[0] in gates]

    def _looked_up(self, query: Callable[[Any], list[Any]]) -> list[Any]:
        with self.driven.service.engine.database.read() as tx:
            return query(tx)


def test_in_whatever_order_things_happen_an_operation_comes_to_its_end(driven: Driven) -> None:
    some = settings(
        max_examples=usually(15, long=100),
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    machine: Any = lambda: AnyOrder(driven)  # noqa: E731 - Hypothesis calls it for each of its examples
    run_state_machine_as_test(machine, settings=some)
