"""State handlers: user code that is told of a change of state and returns the state to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pausable.errors import HandlerAnswered, StepOptionInvalid
from pausable.model.signals import ENDRUN, Signal
from pausable.model.states import State
from pausable.processes import ending_children


@dataclass(frozen=True)
class Subject:
    """What a change of state happens to: a step, or a whole operation.

    `arguments` are those it is called with, by name; `attempt` counts its runs from 1; `slug` names the step within
    its operation, and is None for the operation itself.
    """

    name: str
    operation_id: int
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attempt: int = 1
    slug: str | None = None

    def __str__(self) -> str:
        return f"<Operation: {self.name}>" if self.slug is None else f"<Step: {self.name}>"


#: Told of a change before it is kept; returns the state to keep, or None for the proposed one.
StateHandler = Callable[[Subject, State, State], State | None]
#: What decides whether an answer can be kept, and the words for what could.
Fitting = tuple[Callable[[State], bool], str]


def kept_state(
    handlers: Sequence[StateHandler], subject: Subject, old: State, proposed: State, fitting: Fitting
) -> State:
    """The state that is kept in the place of the proposed one: each handler sees what the one before it returned.

    A signal sets its state, and ENDRUN leaves out the handlers after it. Raises whatever else a handler raises, and
    HandlerAnswered when one returns what does not fit.
    """
    new = proposed
    for handler in handlers:
        try:
            with ending_children():
                answer = handler(subject, old, new)
        except ENDRUN as ending:
            return _fitted(handler, ending.state, fitting)
        except Signal as signal:
            answer = signal.state
        if answer is not None and answer is not new:
            new = _fitted(handler, answer, fitting)
    return new


def _fitted(handler: StateHandler, answer: object, fitting: Fitting) -> State:
    fits, words = fitting
    if not isinstance(answer, State) or not fits(answer):
        raise HandlerAnswered(name_of(handler), answer, words)
    return answer


def name_of(handler: Callable[..., Any]) -> str:
    """What a handler is called in messages."""
    return getattr(handler, "__name__", None) or type(handler).__name__


def checked_handlers(option: str, handlers: object) -> tuple[StateHandler, ...]:
    """The handlers that an option was given, in their order. Raises StepOptionInvalid."""
    if not isinstance(handlers, list | tuple) or not all(callable(one) for one in handlers):
        raise StepOptionInvalid(option, f"is {handlers!r}: give a list of functions of (obj, old_state, new_state)")
    return tuple(handlers)


def callback_factory(fn: Callable[[Subject, State], Any], check: Callable[[State], bool]) -> StateHandler:
    """A state handler that calls `fn(obj, state)` for every new state of which `check(state)` is true.

    It keeps the proposed state whatever `fn` returns. Raises StepOptionInvalid when one of them is no function.
    """
    for role, given in (("fn", fn), ("check", check)):
        if not callable(given):
            raise StepOptionInvalid(f"callback_factory({role}=)", f"is {given!r}: give a function")

    def handler(obj: Subject, _old_state: State, new_state: State) -> None:
        if check(new_state):
            fn(obj, new_state)

    handler.__name__ = name_of(fn)
    return handler


def on_failure(fn: Callable[[Subject, State], Any]) -> StateHandler:
    """A state handler that calls `fn(obj, state)` when a step or operation fails."""
    return callback_factory(fn, lambda state: state.is_failed())


def on_success(fn: Callable[[Subject, State], Any]) -> StateHandler:
    """A state handler that calls `fn(obj, state)` when a step or operation succeeds."""
    return callback_factory(fn, lambda state: state.is_successful())
