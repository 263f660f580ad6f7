"""Workflows whose steps do with a secret whatever an author might do by mistake."""

from __future__ import annotations

import json
import logging
import warnings
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from app.secrets import Secret
from app.workflows import Canvas, step, workflow

if TYPE_CHECKING:
    from celery import Task

NAME = "PLANTED_KEY"


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


_STEPS = {"tell": tell, "fail": fail, "fail_twice": fail_twice, "retry_with_it": retry_with_it, "give": give}


@workflow("blab")
def blab(how: str) -> Canvas:
    """One step that uses the secret."""
    return _STEPS[how].s()
