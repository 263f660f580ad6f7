"""Asking the state handlers of an operation, under no lock: whether it may begin, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.domain.states import Completion, Paused, Running, Scheduled, State
from app.errors import ResultFault
from app.execution.endings import failed, kept_text, storable
from app.execution.exits import is_of_the_code
from app.execution.finishing import End
from app.execution.loading import load_outcome, small
from app.execution.operation_states import RUNNING, end_of, operation_state, subject_of
from app.execution.values import decode, encode
from app.handlers.base import Fitting, kept_state

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.execution.finishing import EndAsked
    from app.store.operations import Operation

_END: Final[Fitting] = (lambda state: state.is_finished(), "a finished state")
_BEGIN: Final[Fitting] = (
    lambda state: state.is_running() or state.is_finished() or type(state) is Paused,
    "Running, Paused or a finished state",
)


def kept_end(engine: Engine, asked: EndAsked) -> End:
    """How the operation ends, its state handlers having been asked and a large result put into a store."""
    operation = asked.operation
    if not engine.policies.asks_handlers(operation):
        return _as_it_is(engine, operation)
    try:
        proposed, same = _proposed(operation), _proposed(operation)
    except ResultFault as fault:
        return End(Completion.FAILED, failed(fault).error)
    if proposed is None:
        return _as_it_is(engine, operation)
    kept = _kept(engine, operation, Running(RUNNING), proposed, _END)
    if kept is proposed and same is not None and proposed.says_the_same(same):  # a handler may change what it is shown
        return _as_it_is(engine, operation)
    return kept if isinstance(kept, End) else _end(engine, operation, kept)


def _as_it_is(engine: Engine, operation: Operation) -> End:
    """The end that nobody has changed; a list of results may be large though none of them is."""
    try:
        result = operation.result and small(engine, operation.id, "result", operation.result)
    except ResultFault as fault:
        return End(Completion.FAILED, failed(fault).error)
    return End(operation.completion, operation.error, result)


def _proposed(operation: Operation) -> State | None:
    """The state that an operation would end in, its result loaded. Raises a kind of ResultFault."""
    proposed = operation_state(operation)
    if operation.completion is Completion.COMPLETED and proposed is not None and operation.result is not None:
        proposed.result = load_outcome(operation.result, decode(operation.outcome))
    return proposed


def beginning(engine: Engine, operation: Operation) -> End | State:
    """Running when the operation may begin, Paused when it is to pause at once, or how it ends before it has begun."""
    kept = _kept(engine, operation, Scheduled(), Running(RUNNING), _BEGIN)
    if isinstance(kept, End) or not kept.is_finished():
        return kept
    return _end(engine, operation, kept, is_cut=True)


def _kept(engine: Engine, operation: Operation, old: State, proposed: State, fitting: Fitting) -> State | End:
    try:
        handlers = engine.policies.of_operation(operation).handlers
        return kept_state(handlers, subject_of(operation), old, proposed, fitting)
    except BaseException as fault:  # the author's code may raise anything; its operation fails with that
        if not is_of_the_code(fault):
            raise
        return End(Completion.FAILED, failed(fault).error, is_cut=old.is_scheduled())


def _end(engine: Engine, operation: Operation, state: State, *, is_cut: bool = False) -> End:
    completion = end_of(state)
    try:
        text = storable(state.name, state.result) if completion is Completion.COMPLETED else None
        result = text and small(engine, operation.id, "result", text)
    except Exception as why:  # what it carries is no value of JSON's, or cannot be kept
        return End(Completion.FAILED, failed(why).error, is_cut=is_cut)
    error = None
    if completion is Completion.FAILED:
        error = encode({"type": state.name, "message": kept_text(state.message or ""), "traceback": ""})
    said = None if completion is Completion.FAILED else state.message
    return End(completion, error, result, is_cut, kept_text(said) if said else None)
