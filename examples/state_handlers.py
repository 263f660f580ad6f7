"""State handlers, from the smallest to those built of parts: each workflow here shows one use of them.

Write `WORKFLOWS=examples.state_handlers` into `.env`: `make run` serves them then, and
`.venv/bin/flask operations start state-handler-demo` starts one.
What is posted goes to the URL that the secret SLACK_URL holds. What the handlers of steps print is in the log of their
step too (`flask operations log ID SLUG`); what those of operations print, in the worker's log alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from pausable import Canvas, callback_factory, chain, group, signals, step, workflow
from pausable.secrets import Secret

if TYPE_CHECKING:
    from pausable import State, Subject

#: Seconds after which an endpoint that says nothing is given up.
PATIENCE = 5.0


# --- Told of every change ---------------------------------------------------------------------------------------------


def tell_of_change(obj: Subject, old_state: State, new_state: State) -> State:
    """Print each change, and let it happen."""
    print(f"\nCalling my custom state handler on {obj}:\n{old_state} to {new_state}\n")
    return new_state


@step
def rest() -> None:
    """Do nothing, well."""


@workflow("state-handler-demo", state_handlers=[tell_of_change])
def operation_demo() -> Canvas:
    """Tell of every change of an operation."""
    return chain(rest.si())


@step(state_handlers=[tell_of_change])
def watched() -> None:
    """Do nothing, and be watched while doing it."""


@workflow("step-handler-demo")
def step_demo() -> Canvas:
    """Tell of every change of a step."""
    return chain(watched.si())


# --- Telling people ---------------------------------------------------------------------------------------------------


def post_to_slack(text: str) -> None:
    """Post a text; a server that refuses it, or that cannot be reached, raises: then the step has failed."""
    body = json.dumps({"text": text}).encode()
    request = Request(Secret("SLACK_URL").get(), body, {"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=PATIENCE):  # noqa: S310 # whoever sets the secret chooses where it leads
        pass


def post_when_finished(obj: Subject, _old_state: State, new_state: State) -> State:
    """Post how it ended, well or badly; a retry is no end."""
    if new_state.is_finished():
        post_to_slack(f"{obj} finished in state {new_state}")
    return new_state


@step(state_handlers=[post_when_finished])
def divide(a: float, b: float) -> float:
    """Fails where b is 0."""
    return a / b


@workflow("notify-on-finish")
def notify_on_finish(a: float = 6, b: float = 3) -> Canvas:
    """Post that a step has ended."""
    return chain(divide.si(a, b))


def post_when_retrying(obj: Subject, _old_state: State, new_state: Any) -> Any:
    """Post that it failed, and when it is tried again: a time in UTC."""
    if new_state.is_retrying():
        post_to_slack(f"{obj} failed and is retrying at {new_state.start_time}")
    return new_state


@step(bind=True, max_retries=3, retry_delay=0.2, state_handlers=[post_when_retrying])
def fetch(self: Any, outages: int) -> str:
    """Fails so often before it succeeds."""
    if self.request.retries < outages:
        raise ConnectionError("the source is away")
    return f"fetched at attempt {self.request.retries + 1}"


@workflow("notify-on-retry")
def notify_on_retry(outages: int = 1) -> Canvas:
    """Post when a step will be tried again; where nothing fails, nothing is posted."""
    return chain(fetch.si(outages))


# --- A failure that carries what a handler needs ----------------------------------------------------------------------


def alert_on_special_failure(_obj: Subject, _old_state: State, new_state: State) -> State:
    """Raise the alarm at one kind of failure only, with what it carries."""
    if new_state.is_failed() and getattr(new_state.result, "flag", False) is True:
        print("Special failure mode!  Send all the alerts!")
        print(f"a == b == {new_state.result.value}")
    return new_state


@step(state_handlers=[alert_on_special_failure])
def mission_critical(a: int, b: int) -> float:
    """Fails in a special way where both are the same."""
    if a == b:
        failure = signals.FAIL("a equaled b!")
        failure.flag = True
        failure.value = a
        raise failure
    return 1 / (b - a)


@workflow("special-failure")
def special_failure(a: int = 1, b: int = 1) -> Canvas:
    """Alert at a special failure, which carries data."""
    return chain(mission_critical.si(a, b))


# --- Several handlers, one after the other ----------------------------------------------------------------------------


def forgive(_obj: Subject, _old_state: State, new_state: State) -> State | None:
    """Keep a lost bet as a success that is worth nothing."""
    if new_state.is_failed():
        raise signals.SUCCESS("Nobody won.", result=0)
    return None


@step(state_handlers=[tell_of_change, forgive, tell_of_change])
def bet(stake: int) -> int:
    """Lose it."""
    raise ArithmeticError(f"{stake} lost")


@step
def add_up(values: list[int]) -> int:
    """What was won in all."""
    return sum(values)


@workflow("several-handlers")
def several_handlers(stakes: list[int] = [5]) -> Canvas:  # noqa: B006 # the parameter's default, never changed
    """Ask three handlers in their order: the last one is told what the second one made of a failure."""
    return group(bet.si(stake) for stake in stakes) | add_up.s()


# --- Handlers built of parts ------------------------------------------------------------------------------------------


def post_start_time(obj: Subject, state: Any) -> None:
    """The action alone; when it is taken is said where the handler is built."""
    post_to_slack(f"{obj} failed and is retrying at {state.start_time}")


post_at_retry = callback_factory(post_start_time, lambda state: state.is_retrying())


@step(bind=True, max_retries=3, retry_delay=0.2, state_handlers=[post_at_retry])
def fetch_again(self: Any, outages: int) -> str:
    """Fails so often before it succeeds."""
    if self.request.retries < outages:
        raise ConnectionError("the source is away")
    return f"fetched at attempt {self.request.retries + 1}"


@workflow("callback-factory")
def from_parts(outages: int = 1) -> Canvas:
    """Post when a step will be tried again, by a handler that is built of an action and a check."""
    return chain(fetch_again.si(outages))


def post_failure(obj: Subject, state: State) -> None:
    """Post what went wrong."""
    post_to_slack(f"{obj} failed: {state.message}")


@step(on_failure=post_failure)
def break_down(reason: str) -> None:
    """Fail for this reason."""
    raise RuntimeError(reason)


@workflow("on-failure", on_failure=post_failure)
def with_on_failure(reason: str = "out of paper") -> Canvas:
    """Post what went wrong, of the step and of the operation."""
    return chain(break_down.si(reason))
