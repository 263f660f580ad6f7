"""The engine's rules as moves of the model: what may happen in a state, and the state it comes to.

One move is one transaction with what its maker does before the next: it publishes, and looks whether a requested pause
or cancel can end now. That others come in between changes nothing but the moment at which a message arrives; that the
maker dies in between does, and is a move of its own, named "and die".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.model.states import CLAIMABLE, REQUESTING, Completion, StepState
from tests.model.clauses import Move
from tests.model.rows import (
    cancelled,
    counted,
    killed,
    may_pause,
    one_kill_less,
    paused,
    runs,
    saved,
    sent,
    with_actor,
    with_row,
)
from tests.model.state import DOWNSTREAM, HAS_POINT, IDLE, NOBODY, THE_DEAD, UPSTREAM, WEB, Actor, Claim, Lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model.clauses import Rules
    from tests.model.state import State

_C, _S = Completion, StepState


def moves(state: State, rules: Rules) -> Iterator[Move]:
    """Everything that may happen next; nothing does once the operation has ended."""
    for number, worker in enumerate(state.workers):
        if not worker.is_stopped:
            yield from _of_worker(state, rules, number, worker)
        yield from _of_fate(state, number, worker)
    if state.web.writes:
        yield Move("write", WEB, -1, _written(state, rules, WEB))
        if state.budget.kills:
            yield Move("kill", WEB, -1, killed(one_kill_less(state), WEB), False)
    if not all(worker.is_stopped for worker in state.workers):
        yield from _of_sweep(state, rules)
        yield from _of_recovery(state, rules)
    yield from _of_broker(state)
    yield from _of_people(state, rules)


def _of_worker(state: State, rules: Rules, number: int, worker: Actor) -> Iterator[Move]:
    if worker == IDLE:
        for step, messages in enumerate(state.messages):
            if messages:
                yield Move("deliver", number, step, _delivered(state, rules, number, step))
    elif worker.writes:
        yield Move("write", number, -1, _written(state, rules, number))
    else:
        step = worker.runs.step
        yield Move("settle", number, step, _settled(state, rules, number, goes_on=True))
        if _may_hand_over(state, worker.runs):
            yield Move("hand over", number, step, _settled(state, rules, number, goes_on=False))
        if state.budget.kills:
            spent = one_kill_less(state)
            yield Move("settle and die", number, step, _settled(spent, rules, number, goes_on=True, dies=True), False)


# A worker takes a message, and ends a step.


def _delivered(state: State, rules: Rules, number: int, step: int) -> State:
    """It claims the step, or is refused."""
    taken = counted(state, step, -1)
    row = state.steps[step]
    is_free = row.state is _S.QUEUED or (row.state is _S.RUNNING and not rules.claiming_is_guarded)
    if state.completion not in CLAIMABLE or not is_free:
        return _looked(taken, rules, number, "refusal")
    claim = Claim(step, row.claim + 1)
    claimed = with_row(taken, step, row._replace(state=_S.RUNNING, claim=claim.number, holder=number))
    return with_actor(saved(claimed, _C.IN_PROGRESS), number, Actor(runs=claim))


def _may_hand_over(state: State, claim: Claim) -> bool:
    """Whether the settling worker may leave all that becomes ready to others: as its slice's budget has it."""
    below = (state.steps[down] for down in DOWNSTREAM[claim.step])
    is_held = state.steps[claim.step].claim == claim.number
    return is_held and state.completion in CLAIMABLE and any(row.waiting == 1 for row in below)


def _settled(state: State, rules: Rules, number: int, *, goes_on: bool, dies: bool = False) -> State:
    claim = state.workers[number].runs
    row = state.steps[claim.step]
    if row.claim != claim.number or (rules.settling_asks_for_the_state and row.state is not _S.RUNNING):
        return killed(state, number) if dies else _fenced_off(state, rules, number, claim)
    is_right = all(state.steps[up].state is _S.SUCCESS and state.steps[up].is_right for up in UPSTREAM[claim.step])
    ended = row._replace(state=_S.SUCCESS, holder=NOBODY, recorded=row.recorded + 1, is_right=is_right)
    recorded = state._replace(is_usurped=state.is_usurped or row.holder != number)
    released, ready = _released(with_row(recorded, claim.step, ended), claim.step)
    then = ready[0] if goes_on and ready else None
    after = _finished(_gone_on(released, number, then), is_idle=then is None)
    if dies:
        return killed(after, number)
    told = sent(after, [step for step in ready if step != then])
    is_waiting = then is None and told.completion in REQUESTING
    return _looked(told, rules, number, "settle") if is_waiting else told


def _fenced_off(state: State, rules: Rules, number: int, claim: Claim) -> State:
    """What it did is recorded by nobody, and its code has ended: it says so itself."""
    lost = Lost(claim, number)
    idle = with_actor(state._replace(lost=state.lost - {lost}), number, IDLE)
    return _looked(idle, rules, number, "confirmation") if lost in state.lost else idle


def _released(state: State, ended: int) -> tuple[State, list[int]]:
    """Count down what waited for the step; hold it, or tell that it is ready."""
    rows, ready = list(state.steps), []
    for down in DOWNSTREAM[ended]:
        row = rows[down]
        if row.state is _S.PENDING:
            waiting = row.waiting - 1
            becomes = _ready(state.completion, down) if waiting == 0 else _S.PENDING
            rows[down] = row._replace(waiting=waiting, state=becomes)
            ready += [down] if becomes is _S.QUEUED else []
    return state._replace(steps=tuple(rows)), ready


def _ready(completion: Completion, step: int) -> StepState:
    if completion is _C.REQUESTING_CANCEL:
        return _S.PENDING
    return _S.PAUSED if completion is _C.REQUESTING_PAUSE and HAS_POINT[step] else _S.QUEUED


def _gone_on(state: State, number: int, step: int | None) -> State:
    if step is None:
        return with_actor(state, number, IDLE)
    row = state.steps[step]
    claim = Claim(step, row.claim + 1)
    claimed = with_row(state, step, row._replace(state=_S.RUNNING, claim=claim.number, holder=number))
    return with_actor(claimed, number, Actor(runs=claim))


def _finished(state: State, *, is_idle: bool) -> State:
    if all(row.state is _S.SUCCESS for row in state.steps):
        return saved(state, _C.COMPLETED)
    if is_idle and state.completion is _C.REQUESTING_CANCEL and not runs(state):
        return cancelled(state)
    return saved(state, state.completion)


# A pause or cancel ends.


def _looked(state: State, rules: Rules, number: int, by: str) -> State:
    """Look whether a requested pause or cancel can end: a cancel at once, a pause once workflow.json is written."""
    idle = with_actor(state, number, IDLE)
    if by not in rules.drained_by or runs(state):
        return idle
    if state.completion is _C.REQUESTING_CANCEL:
        return cancelled(idle)
    return with_actor(state, number, Actor(writes="fresh")) if may_pause(state) else idle


def _written(state: State, rules: Rules, number: int) -> State:
    """The file is written; what it says takes effect if the operation is still as it was."""
    actor = state.web if number == WEB else state.workers[number]
    idle = with_actor(state, number, IDLE)
    if rules.pausing_is_guarded:
        return paused(idle) if actor.writes == "fresh" and may_pause(idle) else idle
    return paused(idle) if state.completion in CLAIMABLE | REQUESTING else idle


def _drained(state: State, rules: Rules, by: str) -> State:
    """The same by whoever sweeps, in one move."""
    if by not in rules.drained_by or runs(state):
        return state
    if state.completion is _C.REQUESTING_CANCEL:
        return cancelled(state)
    return paused(state) if may_pause(state) else state


# Faults, and recovery from them.


def _of_fate(state: State, number: int, worker: Actor) -> Iterator[Move]:
    """What befalls a worker that has something in hand."""
    budget = state.budget
    if budget.kills and worker != IDLE:
        yield Move(
            "kill", number, -1, killed(state._replace(budget=budget._replace(kills=budget.kills - 1)), number), False
        )
    if budget.stops and worker != IDLE and not worker.is_stopped:
        spent = state._replace(budget=budget._replace(stops=budget.stops - 1))
        yield Move("stop", number, -1, with_actor(spent, number, worker._replace(is_stopped=True)), False)
    if worker.is_stopped:
        yield Move("continue", number, -1, with_actor(state, number, worker._replace(is_stopped=False)))


def _of_sweep(state: State, rules: Rules) -> Iterator[Move]:
    queued = [step for step, row in enumerate(state.steps) if row.state is _S.QUEUED]
    is_lost = any(state.messages[step] == 0 for step in queued)
    if rules.sweeping_publishes and state.completion in CLAIMABLE and is_lost:
        yield Move("sweep", WEB, -1, sent(state, queued))
    drained = _drained(state, rules, "sweep")
    if drained is not state:
        yield Move("sweep", WEB, -1, drained)


def _of_recovery(state: State, rules: Rules) -> Iterator[Move]:
    """A worker finds another silent. On the same machine it ends that one for good; on another it cannot know."""
    for step, row in enumerate(state.steps):
        if row.holder == NOBODY or not rules.sweeping_expires:
            continue
        if row.holder == THE_DEAD:
            yield Move("lose", WEB, step, _taken_away(state, rules, step))
        elif state.workers[row.holder].is_stopped:
            yield Move("kill and lose", WEB, step, _taken_away(killed(state, row.holder), rules, step))
            yield Move("lose unproven", WEB, step, _taken_away(_suspected(state, rules, step), rules, step))
    for one in state.lost:
        if one.worker == THE_DEAD:
            known = state._replace(lost=state.lost - {one})
            yield Move("confirm", WEB, one.claim.step, _drained(known, rules, "confirmation"))


def _suspected(state: State, rules: Rules, step: int) -> State:
    row = state.steps[step]
    lost = Lost(Claim(step, row.claim), row.holder)
    return state._replace(lost=state.lost | {lost}) if rules.silence_proves_nothing else state


def _taken_away(state: State, rules: Rules, step: int) -> State:
    row = state.steps[step]
    claim = row.claim + int(rules.losing_raises_the_claim)
    queued = with_row(state, step, row._replace(state=_S.QUEUED, claim=claim, holder=NOBODY))
    told = saved(queued, state.completion)
    return _drained(sent(told, [step]) if state.completion in CLAIMABLE else told, rules, "loss")


def _of_broker(state: State) -> Iterator[Move]:
    budget = state.budget
    for step, messages in enumerate(state.messages):
        if messages and budget.losses:
            spent = state._replace(budget=budget._replace(losses=budget.losses - 1))
            yield Move("lose message", WEB, step, counted(spent, step, -1), False)
        if messages and budget.duplicates:
            spent = state._replace(budget=budget._replace(duplicates=budget.duplicates - 1))
            yield Move("duplicate", WEB, step, counted(spent, step, 1), False)


# What people ask for.


def _of_people(state: State, rules: Rules) -> Iterator[Move]:
    budget, at = state.budget, state.completion
    if at in CLAIMABLE and budget.pauses:
        asked = saved(state._replace(budget=budget._replace(pauses=budget.pauses - 1)), _C.REQUESTING_PAUSE)
        yield Move("pause", WEB, -1, _looked(asked, rules, WEB, "command"), False)
        yield from _dying("pause and die", asked)
    if at in (_C.REQUESTING_PAUSE, _C.PAUSED) and budget.resumes:
        asked, queued = _resumed(state._replace(budget=budget._replace(resumes=budget.resumes - 1)), rules)
        yield Move("resume", WEB, -1, with_actor(sent(asked, queued), WEB, IDLE), False)
        yield from _dying("resume and die", asked)
    if at in CLAIMABLE | {_C.REQUESTING_PAUSE, _C.PAUSED} and budget.cancels:
        asked = saved(state._replace(budget=budget._replace(cancels=budget.cancels - 1)), _C.REQUESTING_CANCEL)
        yield Move("cancel", WEB, -1, asked if runs(asked) else cancelled(asked), False)


def _dying(name: str, asked: State) -> Iterator[Move]:
    """The web process dies once what was asked for is committed, before it publishes or drains."""
    if asked.budget.kills:
        yield Move(name, WEB, -1, killed(one_kill_less(asked), WEB), False)


def _resumed(state: State, rules: Rules) -> tuple[State, list[int]]:
    """Release every held step and publish every queued one, whether the pause took effect or is withdrawn."""
    releases = rules.withdrawing_releases or state.completion is _C.PAUSED
    rows = [row._replace(state=_S.QUEUED) if row.state is _S.PAUSED and releases else row for row in state.steps]
    queued = [step for step, row in enumerate(rows) if row.state is _S.QUEUED]
    return saved(state._replace(steps=tuple(rows)), _C.IN_PROGRESS), queued
