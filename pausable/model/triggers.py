"""Triggers: whether a step runs, depending on the states of its upstream steps. Names as in Prefect 1.

A trigger is called once all upstream steps have ended, with their states by slug; it returns a bool or raises a signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from pausable.errors import StepOptionInvalid
from pausable.model.signals import PAUSE
from pausable.model.states import State

#: Message of a step that is skipped because an upstream step was.
SKIPPED_WITH: Final = "A step upstream was skipped (skip_on_upstream_skip=False runs this one all the same)."
#: Maximum upstream steps named in the message of a failed trigger.
_SHOWN: Final = 5

_is_resumed: ContextVar[bool] = ContextVar("is_resumed", default=False)

#: The states of the upstream steps, by slug.
Upstream = Mapping[str, State]
Trigger = Callable[[Upstream], bool]


def all_successful(upstream: Upstream) -> bool:
    """Run if every upstream step has succeeded: the default."""
    return all(state.is_successful() for state in upstream.values())


def all_failed(upstream: Upstream) -> bool:
    """Run if every upstream step has failed."""
    return all(state.is_failed() for state in upstream.values())


def any_successful(upstream: Upstream) -> bool:
    """Run if at least one upstream step has succeeded."""
    return any(state.is_successful() for state in upstream.values())


def any_failed(upstream: Upstream) -> bool:
    """Run if at least one upstream step has failed."""
    return any(state.is_failed() for state in upstream.values())


def all_finished(upstream: Upstream) -> bool:  # noqa: ARG001
    """Run in any case once all upstream steps have ended: for cleanup."""
    return True


def manual_only(upstream: Upstream) -> bool:  # noqa: ARG001
    """Pause, and run once a person has resumed the operation; this applies to first steps too."""
    if not is_resumed():
        raise PAUSE('Trigger function is "manual_only"')
    return True


def is_resumed() -> bool:
    """Return whether the step of the current trigger has paused its operation and a person has resumed it.

    A trigger that raises PAUSE has to check this first, or the step never runs. A retry by a person starts anew.
    """
    return _is_resumed.get()


@contextmanager
def asking(*, is_resumed: bool) -> Iterator[None]:
    """Set the answer of `is_resumed` for the block in which a trigger is called."""
    token = _is_resumed.set(is_resumed)
    try:
        yield
    finally:
        _is_resumed.reset(token)


def some_successful(at_least: float) -> Trigger:
    """Run if so many upstream steps have succeeded: a count of 1 or more, or a fraction below 1.

    Raise StepOptionInvalid.
    """
    given: object = at_least
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < math.inf:
        raise StepOptionInvalid("some_successful(at_least=)", f"is {at_least!r}: give a count, or a share below 1")

    def some(upstream: Upstream) -> bool:
        good = sum(state.is_successful() for state in upstream.values())
        return good >= (at_least if at_least >= 1 else at_least * len(upstream))

    some.__name__ = f"some_successful(at_least={at_least})"
    return some


#: Triggers that can be given by name.
BY_NAME: Final[Mapping[str, Trigger]] = {
    trigger.__name__: trigger
    for trigger in (all_successful, all_failed, any_successful, any_failed, all_finished, manual_only)
}


def trigger_of(given: str | Trigger) -> Trigger:
    """Return the trigger given by name or as a function. Raise StepOptionInvalid otherwise."""
    if callable(given):
        return given
    name: object = given
    if not isinstance(name, str) or name not in BY_NAME:
        known = ", ".join((*BY_NAME, "some_successful(at_least=)"))
        raise StepOptionInvalid("trigger", f"is {given!r}: give one of {known}, or a function of the upstream states")
    return BY_NAME[given]


def not_run_after(bad: Mapping[str, str], trigger: str) -> str:
    """Return the message of a step that its trigger kept from running.

    Args:
        bad: The states of the upstream steps responsible, by slug.
        trigger: The name of the trigger.
    """
    found = ", ".join(f"{slug} is {state}" for slug, state in list(bad.items())[:_SHOWN])
    return f'Trigger was "{trigger}" but {found or "all of the upstream tasks succeeded"}.'


def name_of_trigger(trigger: Trigger) -> str:
    """Return the name of a trigger for messages."""
    return getattr(trigger, "__name__", None) or repr(trigger)
