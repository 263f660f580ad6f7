"""A breadth-first search through every state that the rules can lead to, and what must hold in each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pausable.model.states import ENDED, Completion, StepState
from tests.model.rules import moves
from tests.model.state import NOTHING, mirrored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model.clauses import Rules
    from tests.model.state import Lost, State

#: Where an operation may stay for good.
AT_REST = ENDED | {Completion.PAUSED}


@dataclass
class Found:
    """What a search has found: every state with the move that first led to it, and the first of each fault."""

    reached: dict[State, tuple[State, str] | None]
    #: From which states a state is reached by a move that is owed.
    owed: dict[State, list[State]] = field(default_factory=dict)
    faults: dict[str, State] = field(default_factory=dict)

    def way_to(self, state: State) -> list[str]:
        """The moves from the start to a state."""
        way = []
        while (step := self.reached[state]) is not None:
            state, name = step
            way.append(name)
        return way[::-1]


def search(start: State, rules: Rules) -> Found:
    """Look at every state; two that differ only in which worker is which count as one."""
    found = Found({start: None})
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for fault in faults_of(state):
            found.faults.setdefault(fault, state)
        if state.completion in ENDED:
            continue
        for move in moves(state, rules):
            after = canonical(move.after)
            if after not in found.reached:
                found.reached[after] = state, f"{move.name} {move.actor}/{move.step}"
                queue.append(after)
            if move.is_owed:
                found.owed.setdefault(after, []).append(state)
    if stuck := next(iter(_stuck(found)), None):
        found.faults["stuck"] = stuck
    return found


def canonical(state: State) -> State:
    """The state, or its mirror image where that comes first."""
    first, second = state.workers
    if first < second:
        return state
    image = mirrored(state)
    return image if first > second else min(state, image, key=_order)


def _order(state: State) -> tuple[list[int], list[Lost]]:
    return [row.holder for row in state.steps], sorted(state.lost)


def faults_of(state: State) -> Iterator[str]:
    """What of a state is wrong in itself."""
    is_at_work = any(worker.runs != NOTHING for worker in state.workers)
    runs = any(row.state is StepState.RUNNING for row in state.steps)
    if state.completion is Completion.PAUSED and (runs or is_at_work):
        yield "paused with running code"
    if any(row.recorded > 1 for row in state.steps):
        yield "recorded twice"
    if state.is_usurped:
        yield "written under a lost claim"
    if any(not row.is_right for row in state.steps):
        yield "wrong result"
    if state.completion is Completion.COMPLETED and any(row.recorded != 1 for row in state.steps):
        yield "completed without a result"


def _stuck(found: Found) -> list[State]:
    """The states from which no owed move, however many, leads to rest: in search order."""
    safe = {state for state in found.reached if state.completion in AT_REST}
    queue = deque(safe)
    while queue:
        for before in found.owed.get(queue.popleft(), ()):
            if before not in safe:
                safe.add(before)
                queue.append(before)
    return [state for state in found.reached if state not in safe]
