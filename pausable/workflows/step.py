"""The decorator `@step`, which makes a function a step, and the options of steps and workflows."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, overload

from celery import Task, shared_task

from pausable.canvas.task import Step
from pausable.engine.handlers import checked_handlers, on_failure, on_success
from pausable.engine.policies import StepPolicy, WorkflowPolicy
from pausable.errors import StepOptionInvalid
from pausable.model.options import faults_in
from pausable.model.retries import LONGEST, Retries, checked_retry_on, seconds
from pausable.model.triggers import trigger_of
from pausable.notifications.notification import Notification
from pausable.results.base import Result
from pausable.results.remote import store_at
from pausable.results.targets import SERIALIZERS, Target, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pausable.engine.handlers import StateHandler

P = ParamSpec("P")
R = TypeVar("R")

_ROUTING: Final = frozenset({"queue", "exchange", "exchange_type", "routing_key", "delivery_mode", "priority"})
#: Options of the service's retries; `max_retries` is Celery's too.
_RETRIES: Final = frozenset({"retry_delay", "retry_backoff", "retry_jitter", "retry_max_delay", "retry_on"})
_MOST: Final = 3
#: Arguments of Celery's task decorator that are not attributes of a task.
_CELERY: Final = _ROUTING | {
    "autoretry_for", "base", "bind", "compression", "dont_autoretry_for", "filter", "lazy", "name", "pydantic",
    "pydantic_context", "pydantic_dump_kwargs", "pydantic_strict", "retry_backoff", "retry_backoff_max",
    "retry_jitter", "retry_kwargs", "shared",
}  # fmt: skip
#: All options of the service.
_OWN: Final = _RETRIES | {
    "count_paused_time", "max_retries", "notify", "on_failure", "on_success", "result", "serializer",
    "skip_on_upstream_skip", "state_handlers", "target", "trigger",
}  # fmt: skip
#: Options of a workflow and of a flow.
_OF_WORKFLOW: Final = (
    "state_handlers",
    "on_failure",
    "on_success",
    "notify",
    "reference",
    "result",
    "pause_every",
    "editable",
)
#: Names of these options in other libraries, for suggestions.
_ELSEWHERE: Final = {
    "retries": "max_retries", "tries": "max_retries", "timeout": "time_limit", "cache_for": "target",
    "terminal_state_handler": "state_handlers", "reference_tasks": "reference",
}  # fmt: skip


@overload
def step(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def step(**options: Any) -> Callable[[Callable[..., R]], Task[..., R]]: ...
def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a Celery task that runs as a step: `@step` or `@step(queue=…)`.

    Besides Celery's task options it accepts `state_handlers`, `on_failure`, `on_success`, `notify`, `trigger`,
    `skip_on_upstream_skip`, `max_retries` with `retry_delay`, `retry_backoff`, `retry_jitter`, `retry_max_delay` and
    `retry_on`, `count_paused_time`, `target`, `result` and `serializer` (`docs/steps.md`, `docs/targets.md`).

    Raises:
        StepOptionInvalid: An option is invalid or unknown.
    """
    _refuse_unknown(options)
    for name, why in faults_in(options):
        raise StepOptionInvalid(name, why)
    policy = _policy(options)
    is_bound = bool(options.get("bind"))
    make: Callable[..., Any] = shared_task(**options | {"base": _base(options), "policy": policy})

    def decorate(function: Callable[..., Any]) -> Any:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            name = getattr(function, "__qualname__", "a step")
            raise StepOptionInvalid(name, "is async, which is not supported: write `def` and call asyncio.run(…) in it")
        if policy.target is not None:
            _check(policy.target, function, is_bound=is_bound)
        return make(function)

    return decorate if function is None else decorate(function)


def _refuse_unknown(options: dict[str, Any]) -> None:
    """Raise StepOptionInvalid for the first option that neither the service, Celery nor the base class has."""
    known = {*_OWN, *_CELERY, *(name for name in dir(options.get("base", Step)) if not name.startswith("_"))}
    for name in options:
        if name not in known:
            raise _unknown(name, "a step", _OWN | _CELERY | {"time_limit", "soft_time_limit"})


def workflow_policy(options: dict[str, Any], of: str) -> WorkflowPolicy:
    """Take the options that workflows and flows share out of `options`, and refuse any other.

    Args:
        options: The keyword arguments; emptied.
        of: What they belong to, for the message: "a workflow" or "a flow".

    Raises:
        StepOptionInvalid: An option is invalid or unknown.
    """
    handlers, reference = handlers_of(options), _references(options.pop("reference", ()))
    policy = WorkflowPolicy(handlers, reference, notifications_of(options), result=result_of(options))
    for name in options:
        raise _unknown(name, of, _OF_WORKFLOW)
    return policy


def _unknown(name: str, of: str, known: Collection[str]) -> StepOptionInvalid:
    elsewhere = _ELSEWHERE.get(name)
    close = [elsewhere] if elsewhere in known else get_close_matches(name, sorted(known))
    return StepOptionInvalid(name, f"is not an option of {of}" + (f": {close[0]} is" if close else ""))


def _references(given: object) -> tuple[str, ...]:
    """Return the names of reference steps; each may be given as a task. Raise StepOptionInvalid otherwise."""
    if not isinstance(given, list | tuple) or not all(isinstance(one, str | Task) for one in given):
        raise StepOptionInvalid("reference", f"is {given!r}: give a list of steps: tasks, task names or slugs")
    return tuple(one if isinstance(one, str) else str(one.name) for one in given)


def handlers_of(options: dict[str, Any]) -> tuple[StateHandler, ...]:
    """Take the state handlers out of the options, in call order."""
    handlers = checked_handlers("state_handlers", options.pop("state_handlers", ()))
    for name, make in (("on_failure", on_failure), ("on_success", on_success)):
        if (callback := options.pop(name, None)) is not None:
            if not callable(callback):
                raise StepOptionInvalid(name, f"is {callback!r}: give a function of (obj, state)")
            handlers += (make(callback),)
    return handlers


def notifications_of(options: dict[str, Any]) -> tuple[Notification, ...]:
    """Take the notifications out of the options. Raise StepOptionInvalid if they are not notifications."""
    notify = options.pop("notify", ())
    if not isinstance(notify, list | tuple) or not all(isinstance(one, Notification) for one in notify):
        raise StepOptionInvalid("notify", "must be a list of Notification(...)")
    return tuple(notify)


def result_of(options: dict[str, Any]) -> Result | None:
    """Take the result store out of the options. Raise StepOptionInvalid if it is not one."""
    result = options.pop("result", None)
    if result is not None and not (isinstance(result, Result | Path | str) and result != ""):
        raise StepOptionInvalid(
            "result", f"is {result!r}: give a folder, a URL such as s3://bucket/prefix, or a Result"
        )
    return None if result is None else store_at(result)


def _check(target: Target, function: Callable[..., Any], *, is_bound: bool) -> None:
    parameters = list(inspect.signature(function).parameters.values())[is_bound:]
    names = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    target.check(names, is_open=any(one.kind is one.VAR_KEYWORD for one in parameters))


def _serializer(name: object) -> str:
    if not isinstance(name, str) or name not in SERIALIZERS:
        raise StepOptionInvalid("serializer", f"is {name!r}: give one of {', '.join(SERIALIZERS)}")
    return name


def _policy(options: dict[str, Any]) -> StepPolicy:
    return StepPolicy(
        handlers=handlers_of(options),
        trigger=trigger_of(options.pop("trigger", "all_successful")),
        skip_on_upstream_skip=bool(options.pop("skip_on_upstream_skip", True)),
        retries=_retries(options),
        count_paused_time=bool(options.pop("count_paused_time", False)),
        notify=notifications_of(options),
        target=target_of(options.pop("target", None)),
        serializer=_serializer(options.pop("serializer", "json")),
        result=result_of(options),
    )


def _retries(options: dict[str, Any]) -> Retries | None:
    """Return the retries that the service makes; None if they are left to the code or to Celery's options."""
    if "autoretry_for" in options:
        return None
    given = {name: options.pop(name) for name in _RETRIES & options.keys()}
    most = options.get("max_retries", _MOST if given else None)
    if not given and (most is None or options.get("bind")):
        return None
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise StepOptionInvalid("max_retries", f"is {most!r}: give a whole number, 0 or more")
    return Retries(
        most=most,
        delay=seconds("retry_delay", given.get("retry_delay", 0)),
        backoff=_backoff(given.get("retry_backoff", 1)),
        jitter=bool(given.get("retry_jitter", False)),
        longest=seconds("retry_max_delay", given.get("retry_max_delay", LONGEST)),
        on=checked_retry_on(given.get("retry_on", Exception)),
    )


def _backoff(given: object) -> float:
    if given is True:
        return 2.0
    factor = seconds("retry_backoff", 1 if given is False else given)
    if factor < 1:
        raise StepOptionInvalid(
            "retry_backoff", f"is {given!r}: give a factor of 1 or more that each wait is multiplied by"
        )
    return factor


def _base(options: dict[str, Any]) -> type:
    base: type = options.pop("base", Step)
    routing = {name: options.pop(name) for name in _ROUTING & options.keys()}
    # Celery 5.7 deprecates routing options among a task's attributes, but not in its base class.
    return type(base.__name__, (base,), {"abstract": True, **routing}) if routing else base
