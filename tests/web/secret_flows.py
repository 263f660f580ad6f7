"""Workflows whose steps do with a secret whatever an author might do by mistake."""

from __future__ import annotations

import json
import logging
import warnings
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from pausable import Canvas, Notification, Secret, signals, states, step, workflow

if TYPE_CHECKING:
    from celery import Task

    from pausable import State

NAME = "PLANTED_KEY"
HOOK = Secret("PLANTED_HOOK")


@step
def tell() -> None:
    value = Secret(NAME).get()
    print(f"printed {value}")  # noqa: T201
    warnings.warn(f"warned of {value}", stacklevel=1)
    log = logging.getLogger("author")
    log.warning("logged %s", value)
    log.warning("as JSON %s", json.dumps({"key": value}))
    log.warning("in an address https://host/?key=%s", quote(value, safe=""))
    try:
        raise ConnectionError(f"cannot reach https://me:{value}@host/")
    except ConnectionError:
        log.exception("with a traceback")


@step
def fail() -> NoReturn:
    value = Secret(NAME).get()
    raise ValueError(value, {"key": value})


@step(bind=True, max_retries=1)
def fail_twice(self: Task[Any, Any]) -> NoReturn:
    raise self.retry(exc=ConnectionError(f"refused {Secret(NAME).get()}"), countdown=0.01)


@step(bind=True)
def retry_with_it(self: Task[Any, Any], key: str = "") -> NoReturn:
    raise self.retry(kwargs={"key": Secret(NAME).get()}, countdown=0.01)


@step
def give() -> Any:
    return {"login": ["me", f"key={Secret(NAME).get()}"]}


def meddle(_obj: object, _old: State, new: State) -> State | None:
    """Log the secret, and put it into the state that is kept."""
    value = Secret(NAME).get()
    logging.getLogger("author").warning("handled with %s", value)
    return states.Failed(f"no entry with {value}") if new.is_successful() else None


@step(state_handlers=[meddle], notify=[Notification("failed", HOOK, "{step}: {message}")])
def handled() -> None:
    """End well, and let the handler spoil it."""


@step(notify=[Notification("retrying", HOOK)])
def signal() -> NoReturn:
    raise signals.FAIL(f"refused {Secret(NAME).get()}", result={"key": Secret(NAME).get()})


_STEPS = {
    "tell": tell,
    "fail": fail,
    "fail_twice": fail_twice,
    "retry_with_it": retry_with_it,
    "give": give,
    "handled": handled,
    "signal": signal,
}


@workflow("blab", notify=[Notification("finished", HOOK, "{workflow}: {state}")])
def blab(how: str) -> Canvas:
    """One step that uses the secret."""
    return _STEPS[how].s()
