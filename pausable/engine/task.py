"""Run one task call as a step, through Celery's own tracer, so that signals, hooks and retries work as documented."""

from __future__ import annotations

import json
import logging
import sys
import weakref
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from celery import states
from celery.app.task import Context
from celery.exceptions import ChordError, Ignore, Reject, Retry
from celery.states import IGNORED, REJECTED
from celery.utils import uuid

from pausable import clock
from pausable.canvas.signatures import in_zone, stored_options
from pausable.canvas.task import Replaced, is_author_error, make_step
from pausable.canvas.values import decode, encode
from pausable.celery_compat import build_tracer, call_task_errbacks, has_own_call, is_terminating, wrap_run
from pausable.db.operations import find_operation, installation_name, is_named
from pausable.db.transitions import failed_before, first_bad_before
from pausable.engine.cursor import StoppedAtCursor
from pausable.engine.limits import soft_limit
from pausable.engine.outcome import (
    Ending,
    ending_of,
    error_ending,
    failed,
    is_an_end,
    kept_text,
    name_of,
    stopped,
    storable,
    words_of,
)
from pausable.engine.policies import StepPolicy
from pausable.engine.publish import is_timed
from pausable.errors import NotAnEnding, OptionRefused, RequestChanged, SecretInResult, TaskMissing, UnstorableArgument
from pausable.model.graph import numbers_in
from pausable.model.identity import hears_of_header, ids_of
from pausable.model.options import faults_in
from pausable.model.signals import FAIL, RETRY, SUCCESS, Signal
from pausable.model.states import Retrying, Skipped, StepState
from pausable.model.times import bounded, seconds_of
from pausable.processes import ending_children, this_host
from pausable.secrets import found_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery, Task

    from pausable.db.database import Database
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ended
    from pausable.model.retries import Retries
    from pausable.model.states import State

#: The state of the last success that was signalled here, until it is asked for: a plain return has no message.
_said: ContextVar[State | None] = ContextVar("said", default=None)
_PLAIN: Final = StepPolicy()
#: What Celery goes by once a task has succeeded; the requests of steps have none of it.
_LEADS_ON: Final = frozenset({"callbacks", "chain", "chord"})


class SignalledFailure(Exception):
    """Carries the signal FAIL through Celery's tracer and its retries, which take only exceptions for failures."""

    def __init__(self, signal: FAIL) -> None:
        self.signal = signal
        super().__init__(str(signal))


def guard(task: Any) -> None:
    """Let this task's code raise signals, and run again as its author asked; once for each task."""
    wrap_run(task, _limited, partial(_failing_plainly, task), partial(_guarded, task))


def _guarded(task: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    retries = getattr(task, "policy", _PLAIN).retries
    # Such a task may catch exceptions around its `run`: then a signal must stay what it is.
    is_wrapped = has_own_call(task)

    @wraps(run)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            value = run(*args, **kwargs)
        except (Ignore, Reject, Retry):
            raise
        except (Signal, Exception) as fault:
            if not _is_step(task):
                raise
            return _answer(task, fault, retries, is_wrapped=is_wrapped)
        _look_at_request(task)
        return value

    return guarded


def _look_at_request(task: Any) -> None:
    """Do what code that has returned asked for by its request. Raises Retry, RequestChanged."""
    request = vars(task.request)
    if "operation_id" not in request:
        return
    if "asked_again" in request:
        raise request["asked_again"]
    if not _LEADS_ON.isdisjoint(request):
        raise RequestChanged(task.name, sorted(_LEADS_ON & request.keys()))


def _limited(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return the author's function: in it alone a soft time limit is raised, and no child that it forks leaves it."""

    @wraps(run)
    def limited(*args: Any, **kwargs: Any) -> Any:
        with ending_children():
            return soft_limit.run(run, args, kwargs)

    return limited


def _failing_plainly(task: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(run)
    def failing(*args: Any, **kwargs: Any) -> Any:
        try:
            return run(*args, **kwargs)
        except FAIL as fault:
            if not _is_step(task):
                raise
            raise SignalledFailure(fault) from fault

    return failing


def _is_step(task: Any) -> bool:
    return getattr(task.request, "operation_id", None) is not None


def said() -> State | None:
    """The state in whose words the code ended that has just returned, if it used any; asked once."""
    state = _said.get()
    if state is not None:
        _said.set(None)
    return state


def unwrapped(fault: BaseException) -> BaseException:
    """Return what an author's code raised, where Celery was given a stand-in for it."""
    return fault.signal if isinstance(fault, SignalledFailure) else fault


def is_wanted(retries: Retries, fault: BaseException, done: int) -> bool:
    """Return whether the author wants another run after this failure; no child that is forked there goes on here."""
    with ending_children():
        return retries.wants(fault, done)


def _answer(task: Any, fault: Signal | Exception, retries: Retries | None, *, is_wrapped: bool) -> Any:
    if isinstance(fault, SUCCESS):
        _said.set(fault.state)
        return fault.state.result
    if isinstance(fault, RETRY) and not is_wrapped:
        cause = fault if str(fault) else None
        raise task.retry(exc=cause, eta=fault.start_time, max_retries=sys.maxsize, throw=False) from fault
    if isinstance(fault, Signal) and not isinstance(fault, FAIL):
        raise fault
    done = task.request.retries
    if retries is not None and is_wanted(retries, fault, done):
        raise task.retry(exc=fault, countdown=retries.wait(done), max_retries=retries.most, throw=False) from fault
    if isinstance(fault, FAIL) and not is_wrapped:
        raise SignalledFailure(fault) from fault
    raise fault


_NONE: Final[dict[str, Any]] = {}
_names: WeakKeyDictionary[Database, str] = WeakKeyDictionary()


def request_of(engine: Engine, operation_id: int, step: StepTask) -> dict[str, Any]:
    """Return the request of a step, as keywords of Celery's `Context`; its ids stay the same however often it runs."""
    call, app = step.call, engine.app
    options = decode(step.signature)["options"] if call.get("options") else _NONE
    ids = ids_of(seed_of(engine.database, operation_id), step.slug, call)
    message: Any = app.current_worker_task and app.current_worker_task.request
    hostname = message.hostname if message else this_host()
    headers = options.get("headers") or _NONE
    request = {
        **headers,
        "id": ids.own,
        "correlation_id": ids.own,
        "parent_id": ids.parent,
        "root_id": ids.root,
        "group": ids.group,
        "task": step.task,
        "retries": step.retries,
        "operation_id": operation_id,
        "slug": step.slug,
        "hostname": hostname,
        "origin": hostname,
        "delivery_info": {**(message.delivery_info if message else _NONE), "redelivered": step.losses > 0},
        "headers": dict(headers),
        "timelimit": _limits(app.tasks.get(step.task), options),
        "stamps": {},
        "ignore_result": True,
    }
    if ids.group:
        request["group_index"] = call["family"].get("index")
    if options:
        request |= _of_options(options)
    if step.retries or is_timed(call):
        request["eta"] = options.get("eta") or datetime.fromtimestamp(clock.now(), UTC).isoformat()
    if "." in step.slug:
        request["replaced_task_nesting"] = step.slug.count(".")
    return request


def _limits(task: Any, options: dict[str, Any]) -> list[Any]:
    """The hard and the soft time limit, as Celery sends them."""
    return [options.get(name) or getattr(task, name, None) for name in ("time_limit", "soft_time_limit")]


def _of_options(options: dict[str, Any]) -> dict[str, Any]:
    stamped = options.get("stamped_headers")
    told: dict[str, Any] = {"shadow": options.get("shadow"), "stamped_headers": stamped}
    if stamped:
        told["stamps"] = {name: options.get(name) for name in stamped}
    return told


def seed_of(database: Database, operation_id: int) -> str:
    """Return what names an operation of this database everywhere."""
    if (name := _names.get(database)) is None:
        with database.glance() as tx:
            name = installation_name(tx)
        # What runs in memory is gone afterwards: the next that does begins with operation 1 too.
        _names[database] = name = name if is_named(name) else uuid()
    return f"{name}/{operation_id}"


if TYPE_CHECKING:
    AnyTask = Task[Any, Any]
    Tracer = Callable[[str, list[Any], dict[str, Any], dict[str, Any]], Any]


def run_task(app: Celery, name: str, args: list[Any], kwargs: dict[str, Any], request: dict[str, Any]) -> Ending:
    """Run a task's code here and now, with `request` as its `self.request`; a task that is missing here has failed."""
    task = app.tasks.get(name)
    if task is None:
        return error_ending(TaskMissing(name), "")
    tracer = _tracers.get(task)
    if tracer is None:
        tracer = _tracers[task] = _tracer(app, task)
    try:
        with ending_children():  # beside the task's code, its hooks and its base class may fork
            traced = tracer(request["id"], args, kwargs, request)
    except BaseException as leaving:  # the tracer lets all pass that is no Exception, and a hook's Reject
        if not is_author_error(leaving):
            raise
        return _left(task, leaving, request, (args, kwargs))
    if traced.info is None:
        return _success(task, traced.retval)
    return _unsuccessful(app, task, traced, request, (args, kwargs))


def _unsuccessful(
    app: Celery, task: AnyTask, traced: Any, request: dict[str, Any], called_with: tuple[list[Any], dict[str, Any]]
) -> Ending:
    """How a step ends that Celery's tracer has seen fail, retried or ignored."""
    if is_terminating():  # what its code raised on its way out is no end of the step
        raise SystemExit(f"a process was told to leave while it ran {task.name}")
    if traced.info.state == states.RETRY:
        return _retrying(app, task, traced.info.retval, called_with)
    if isinstance(traced.info.retval, Replaced):
        return Ending(StepState.SUCCESS, encode(None), canvas=traced.info.retval.canvas)
    if traced.info.state in (IGNORED, REJECTED):
        return _dropped(task, traced, request)
    return replace(_failed(task, traced.info, traced.retval), called_with=called_with)


def _dropped(task: AnyTask, traced: Any, request: dict[str, Any]) -> Ending:
    """How a step ends whose code told Celery to forget it (`Ignore`), or to give its message back (`Reject`)."""
    fault = traced.info.retval
    if traced.info.state == REJECTED and not fault.requeue:
        return error_ending(fault, str(getattr(traced.retval, "traceback", "")), words_of(fault.reason))
    words = f"Reject: {words_of(fault.reason)}" if traced.info.state == REJECTED else f"Ignore: {words_of(fault)}"
    state = Retrying(words) if traced.info.state == REJECTED else Skipped(words)
    return ending_of(state, task.name, request["retries"])


_tracers: weakref.WeakKeyDictionary[AnyTask, Tracer] = weakref.WeakKeyDictionary()


def _tracer(app: Celery, task: AnyTask) -> Tracer:
    guard(task)
    make_step(task)
    tracer: Tracer = build_tracer(task.name, task, app.loader, app=app)
    return tracer


def _success(task: AnyTask, value: Any) -> Ending:
    words = said()
    try:
        result = storable(task.name, value)
    except Exception as why:
        return error_ending(why, "")
    message = kept_text(words.message) if words and words.message is not None else None
    return Ending(StepState.SUCCESS, result=result, message=message)


def _left(
    task: AnyTask, leaving: BaseException, request: dict[str, Any], called_with: tuple[list[Any], dict[str, Any]]
) -> Ending:
    """How a step ends whose code was left by what passes Celery's tracer."""
    if isinstance(leaving, StoppedAtCursor):
        return stopped()
    if not isinstance(leaving, Signal) or isinstance(leaving, FAIL):
        return replace(failed(leaving), called_with=called_with)
    state = leaving.state
    if not is_an_end(state):
        return error_ending(NotAnEnding(task.name, state.name), "")
    try:
        return ending_of(state, task.name, request["retries"])
    except Exception as why:
        return error_ending(why, "")


def _retrying(app: Celery, task: AnyTask, retry: Any, called_with: tuple[list[Any], dict[str, Any]]) -> Ending:
    sig = retry.sig
    if sig is None:  # raised by hand: nothing says what to run again
        return error_ending(NotAnEnding(task.name, states.RETRY), "")
    args, kwargs = list(sig.args or ()), dict(sig.kwargs or {})
    again: dict[str, Any] = {"retries": sig.options["retries"]}
    if (args, kwargs) != called_with:
        again |= {"args": args, "kwargs": kwargs}
    try:
        again |= _options_again(app, task, getattr(retry, "options", {}))
    except OptionRefused as why:
        return error_ending(why, "")
    if (refused := _refused_retry(task, again, sig.options)) is not None:
        return error_ending(refused, "")
    cause = unwrapped(retry.exc) if retry.exc else None
    error = encode({"type": name_of(cause), "message": words_of(cause)}) if cause else None
    words = words_of(cause) if cause else None
    return Ending(StepState.RETRYING, error=error, due_at=_seconds(app, retry.when), again=again, message=words)


def _options_again(app: Celery, task: AnyTask, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a retry asks for, beside its time. Raises OptionRefused."""
    if not asked:
        return {}
    options = stored_options(asked, (), step=task.name, timezone=app.timezone)
    if options.get("expires") is not None:
        raise OptionRefused(task.name, "expires")
    return {"options": options}


def _refused_retry(task: AnyTask, again: Mapping[str, Any], options: Mapping[str, Any]) -> Exception | None:
    """Return why a step cannot be run again as its code asks."""
    times = {name: options.get(name) for name in ("countdown", "eta")}
    if fault := next(faults_in(times), None):
        return OptionRefused(task.name, *fault)
    try:
        secret = found_in(encode(again, around=2))  # by the names of the parts, and in the list of arguments
    except Exception as why:
        return UnstorableArgument(task.name, "what it is to be retried with", f"is refused ({words_of(why)})")
    return SecretInResult(task.name, "retry", secret) if secret else None


def _seconds(app: Celery, when: float | datetime | str | None) -> float:
    if isinstance(when, datetime | str):
        return seconds_of(in_zone(when, app.timezone))
    return bounded(clock.now() + (when or 0))


def _failed(task: AnyTask, info: Any, einfo: Any) -> Ending:
    if info.state == states.FAILURE:
        fault = unwrapped(info.retval)
        return failed(fault) if fault is not info.retval else error_ending(fault, str(getattr(einfo, "traceback", "")))
    return error_ending(NotAnEnding(task.name, info.state), "")


_log = logging.getLogger(__name__)
_S: Final = StepState


def call_errbacks(engine: Engine, operation_id: int, ended: Ended) -> None:
    """Call the error callbacks of a step; one that cannot be called is logged, the operation has its error."""
    call = ended.step.call
    if not call.get("options", {}).get("link_error") or ended.ending.state not in (_S.FAILED, _S.TRIGGER_FAILED):
        return
    if ended.ending.state is _S.TRIGGER_FAILED and not (
        hears_of_header(call) and _is_of_header(engine, operation_id, ended)
    ):
        return
    try:
        told = _told(engine, operation_id, ended)
        with ending_children():
            call_task_errbacks(engine.app, *told)
    except BaseException as why:  # an author's function, which is called here and now
        if not is_author_error(why):
            raise
        _log.exception(
            "an error callback of step %s of operation %s could not be called", ended.step.slug, operation_id
        )


def _is_of_header(engine: Engine, operation_id: int, ended: Ended) -> bool:
    """Whether a member of the header before a chord's body has failed, rather than what all members waited for.

    What failed before the header is what keeps its first branch from running and its last one too; nothing in it is.
    """
    branches = json.loads(ended.step.inputs or "null")
    if not isinstance(branches, list) or len(branches) == 1:
        return True
    ends = [next(numbers_in(branch), None) for branch in (branches[0], branches[-1])]
    with engine.database.glance() as tx:
        every = failed_before(tx, operation_id, ended.step.number)
        shared = [failed_before(tx, operation_id, end) for end in ends if end is not None]
    return not every or not every <= set.intersection(every, *shared)


def _told(engine: Engine, operation_id: int, ended: Ended) -> tuple[Context, Any, str | None]:
    """The request, the error and its traceback that error callbacks are called with."""
    call = decode(ended.step.signature)
    request = request_of(engine, operation_id, ended.step) | {"errbacks": call["options"]["link_error"]}
    if ended.ending.state is _S.TRIGGER_FAILED:
        request |= {"args": call.get("args", []), "kwargs": call.get("kwargs", {})}
        return Context(request), _chord_error(engine, operation_id, ended), None
    args, kwargs = ended.ending.called_with
    traceback = (decode(ended.ending.error) or {}).get("traceback")
    return Context(request, args=args, kwargs=kwargs), ended.ending.exception, traceback


def _chord_error(engine: Engine, operation_id: int, ended: Ended) -> ChordError:
    """The error of a chord, in Celery's words: which member of its header has failed, and with what."""
    with engine.database.glance() as tx:
        found = first_bad_before(tx, operation_id, ended.step.number)
        operation = find_operation(tx, operation_id)
    if found is None:
        return ChordError(ended.ending.message)
    slug, call, error = found
    facts = decode(error) or decode(operation.error if operation else None) or {}
    member = ids_of(seed_of(engine.database, operation_id), slug, call).own
    return ChordError(f"Dependency {member} raised {facts.get('type')}({facts.get('message')!r})")
