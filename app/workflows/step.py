"""The decorator that makes a function a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from celery import Task, shared_task

from app.execution.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_ROUTING = frozenset({"queue", "exchange", "exchange_type", "routing_key", "delivery_mode", "priority"})


@overload
def step(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def step(**options: Any) -> Callable[[Callable[..., R]], Task[..., R]]: ...
def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a Celery task that runs as a step, with or without task options: `@step`, `@step(queue=…)`."""
    decorate: Callable[..., Any] = shared_task(**options | {"base": _base(options)})
    return decorate if function is None else decorate(function)


def _base(options: dict[str, Any]) -> type:
    base: type = options.pop("base", Step)
    routing = {name: options.pop(name) for name in _ROUTING & options.keys()}
    # Celery 5.7 warns of routing among a task's own attributes, and means to ignore it there; not in its base class.
    return type(base.__name__, (base,), {"abstract": True, **routing}) if routing else base
