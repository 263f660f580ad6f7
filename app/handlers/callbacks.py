"""State handlers built from small parts: what to do, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.errors import StepOptionInvalid
from app.handlers.base import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.domain.states import State
    from app.handlers.base import StateHandler, Subject


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
