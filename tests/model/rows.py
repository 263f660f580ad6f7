"""What the moves of the model are made of: changes of single rows, messages and hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.model.states import IDLE as NOT_BEGUN
from pausable.model.states import Completion, StepState
from tests.model.state import IDLE, MANY, THE_DEAD, WEB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.model.state import Actor, State, Step

_S = StepState


def with_row(state: State, number: int, row: Step) -> State:
    """The state with this row for that step."""
    return state._replace(steps=(*state.steps[:number], row, *state.steps[number + 1 :]))


def with_actor(state: State, number: int, actor: Actor) -> State:
    """The state with these hands for that worker, or for the web process."""
    if number == WEB:
        return state._replace(web=actor)
    return state._replace(workers=(*state.workers[:number], actor, *state.workers[number + 1 :]))


def saved(state: State, completion: Completion) -> State:
    """The operation's row is written: whoever looked before, to write workflow.json, looked at what is past."""
    workers, web = state.workers, state.web
    if web.writes or workers[0].writes or workers[1].writes:
        workers = tuple(one._replace(writes="stale") if one.writes else one for one in workers)
        web = web._replace(writes="stale") if web.writes else web
    return state._replace(completion=completion, workers=workers, web=web)


def sent(state: State, steps: Iterable[int]) -> State:
    """These steps are published; of a message that is there already the model counts no second."""
    messages = list(state.messages)
    for step in steps:
        messages[step] = max(1, messages[step])
    return state._replace(messages=tuple(messages))


def counted(state: State, step: int, more: int) -> State:
    """So many messages more about a step."""
    messages = list(state.messages)
    messages[step] = min(MANY, messages[step] + more)
    return state._replace(messages=tuple(messages))


def runs(state: State) -> bool:
    """Whether any step is in a worker's hands, as the table has it."""
    return any(row.state is _S.RUNNING for row in state.steps)


def may_pause(state: State) -> bool:
    """Whether a pause is requested and nothing stands in its way."""
    return state.completion is Completion.REQUESTING_PAUSE and not runs(state) and not state.lost


def paused(state: State) -> State:
    """The pause takes effect: what is queued is held."""
    rows = (row._replace(state=_S.PAUSED) if row.state is _S.QUEUED else row for row in state.steps)
    return saved(state._replace(steps=tuple(rows)), Completion.PAUSED)


def cancelled(state: State) -> State:
    """The cancel takes effect: what has not begun never will."""
    rows = (row._replace(state=_S.CANCELLED) if row.state in NOT_BEGUN else row for row in state.steps)
    return saved(state._replace(steps=tuple(rows)), Completion.CANCELLED)


def killed(state: State, number: int) -> State:
    """The worker's claims are held by the dead from now on, and another has been started in its place."""
    if number == WEB:
        return state._replace(web=IDLE)
    rows = (row._replace(holder=THE_DEAD) if row.holder == number else row for row in state.steps)
    lost = frozenset(one._replace(worker=THE_DEAD) if one.worker == number else one for one in state.lost)
    return with_actor(state._replace(steps=tuple(rows), lost=lost), number, IDLE)


def one_kill_less(state: State) -> State:
    """One kill of the budget is spent."""
    return state._replace(budget=state.budget._replace(kills=state.budget.kills - 1))
