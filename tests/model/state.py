"""Where everything stands in the model of the engine's rules: one operation, two workers, a web process, a broker.

The graph is a chain with a branch: `a`, then `b` and `c` beside each other, then `d`; there is a pause point before
the branch and one behind it. A state is small, hashable and complete: the moves of `tests.model.rules` lead from one to
the next and remember nothing else.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pausable.model.states import Completion, StepState

#: The steps that each step waits for, by number.
UPSTREAM: Final[tuple[tuple[int, ...], ...]] = ((), (0,), (0,), (1, 2))
DOWNSTREAM: Final = tuple(
    tuple(down for down, ups in enumerate(UPSTREAM) if number in ups) for number in range(len(UPSTREAM))
)
#: Whether a step stands behind a pause point.
HAS_POINT: Final = (False, True, True, True)
#: Messages about one step that the model tells apart: none, one, more.
MANY: Final = 2


#: Who holds a claim that nobody holds, and one whose worker is dead; the workers are 0 and 1.
#: The web process, among the actors.
WEB: Final = -1
NOBODY: Final = -1
THE_DEAD: Final = 2


class Step(NamedTuple):
    """A row of `steps`, and an observer's notes on it.

    `recorded` is how often it came to its end, and `is_right` whether all that it waits for had ended before.
    """

    state: StepState
    claim: int
    waiting: int
    holder: int
    recorded: int
    is_right: bool


class Claim(NamedTuple):
    """The right to run a step, as a worker believes to have it."""

    step: int
    number: int


#: What a worker has that has no claim.
NOTHING: Final = Claim(-1, 0)


class Actor(NamedTuple):
    """A worker, or the web process, between two of its transactions.

    `runs` is the claim under which it runs a step's code. `writes` tells that it has seen that nothing of the operation
    runs, and writes workflow.json; once the operation changes under its hands, what it writes is stale.
    """

    runs: Claim = NOTHING
    writes: str = ""
    is_stopped: bool = False


#: A worker, or a web process, that is up and has nothing to do.
IDLE: Final = Actor()


class Lost(NamedTuple):
    """A row of `lost_claims`: a claim that was taken from a worker which is not proven gone."""

    claim: Claim
    worker: int


class Budget(NamedTuple):
    """What may still happen of all that nobody is owed: faults, and wishes of people."""

    kills: int = 0
    stops: int = 0
    losses: int = 0
    duplicates: int = 0
    pauses: int = 0
    resumes: int = 0
    cancels: int = 0


class State(NamedTuple):
    """Everything."""

    completion: Completion
    steps: tuple[Step, ...]
    messages: tuple[int, ...]
    workers: tuple[Actor, ...]
    web: Actor
    lost: frozenset[Lost]
    budget: Budget
    #: Whether a worker has ever written under a claim that it had lost; an observer notes it.
    is_usurped: bool = False


def start(budget: Budget) -> State:
    """An operation that has just been started."""
    steps = tuple(
        Step(StepState.PENDING if ups else StepState.QUEUED, 0, len(ups), NOBODY, 0, True) for ups in UPSTREAM
    )
    messages = tuple(int(not ups) for ups in UPSTREAM)
    return State(Completion.SCHEDULED, steps, messages, (IDLE, IDLE), IDLE, frozenset(), budget)


def mirrored(state: State) -> State:
    """The state with the two workers in each other's place: nothing tells them apart."""
    steps = tuple(step._replace(holder=_OTHER[step.holder]) for step in state.steps)
    lost = frozenset(Lost(one.claim, _OTHER[one.worker]) for one in state.lost)
    return state._replace(steps=steps, workers=state.workers[::-1], lost=lost)


_OTHER: Final = {0: 1, 1: 0, NOBODY: NOBODY, THE_DEAD: THE_DEAD}
