"""Workflows whose code leaves in unusual ways: it swallows a stop, exits, interrupts itself, or forks."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from celery import Task, chain, group, shared_task
from celery import signals as celery_signals
from celery.exceptions import SoftTimeLimitExceeded

from pausable import Canvas, State, Subject, cursor, signals, step, triggers, workflow
from pausable.canvas.pause import pause_or_continue
from pausable.engine.celery_app import this_engine
from pausable.service.operations import Wish, cancel, pause
from tests.execution.cursor_flows import linger
from tests.execution.flows import fail, same, write_line

if TYPE_CHECKING:
    from collections.abc import Callable


class Forgiving(Task):  # type: ignore[type-arg]
    """A base class that catches every exception of its tasks."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as fault:
            return f"forgave {type(fault).__name__}"


class _Unwilling:
    """Fails whenever it is left."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        raise ConnectionError("it cannot be rolled back")


def _import_rows(rows: list[int], ledger: str, how: str, operation_id: int) -> str:
    """Import rows as importers are written: a row that cannot be imported is counted as bad."""
    bad = 0
    for row in rows[cursor.place or 0 :]:
        try:
            if row == 2 and cursor.place == 2 and f"asked {how}" not in _lines(ledger):
                write_line(ledger, f"asked {how}")
                (cancel if how == "cancel" else pause)(this_engine(), Wish(operation_id, "a step"))
                linger()
            write_line(ledger, str(row))
            cursor.keep(row + 1)
        except Exception:
            bad += 1
    return f"{bad} bad"


def _lines(ledger: str) -> list[str]:
    try:
        with open(ledger) as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


@step
def import_rows(rows: list[int], ledger: str, how: str, operation_id: int) -> str:
    return _import_rows(rows, ledger, how, operation_id)


@step(base=Forgiving)
def import_forgiven(rows: list[int], ledger: str, how: str, operation_id: int) -> str:
    return _import_rows(rows, ledger, how, operation_id)


@step(autoretry_for=(Exception,), retry_kwargs={"countdown": 0, "max_retries": 3})
def import_again(rows: list[int], ledger: str, how: str, operation_id: int) -> str:
    return _import_rows(rows, ledger, how, operation_id)


IMPORTERS = {"plain": import_rows, "base class": import_forgiven, "autoretry": import_again}


@workflow("importing")
def importing(kind: str, rows: int, ledger: str, how: str, operation_id: int) -> Canvas:
    """An importer that is stopped in the middle, and one step more."""
    canvas: Canvas = same.s(list(range(rows))) | IMPORTERS[kind].s(ledger, how, operation_id) | same.s()
    return canvas


@step
def swallow(how: str, ledger: str, operation_id: int) -> str:
    """Catch whatever `keep` raises, go on, and end in some way."""
    write_line(ledger, f"from {cursor.place}")
    if cursor.place is not None:
        return f"went on from {cursor.place}"
    cursor.keep(1)
    pause(this_engine(), Wish(operation_id, "a step"))
    linger()
    stops = 0
    for place in (2, 3, 4):
        try:
            cursor.keep(place)
        except BaseException:
            stops += 1
    write_line(ledger, f"stopped {stops} times")
    if how == "raise":
        raise ArithmeticError("it was interrupted")
    if how == "signal":
        raise signals.SKIP("it was interrupted")
    if how == "leave":
        with _Unwilling():
            cursor.keep(5)
    return "all of it"


@workflow("swallowing")
def swallowing(how: str, ledger: str, operation_id: int) -> Canvas:
    """A step that does not let its stop pass, and one step more."""
    canvas: Canvas = same.s(how) | swallow.s(ledger, operation_id) | same.s()
    return canvas


@step
def swallow_over(rows: list[int], operation_id: int) -> str:
    """Go over rows by hand, and take every exception for the end of a row."""
    begun, seen, them = cursor.place, 0, cursor.over(rows)
    while True:
        try:
            row = next(them)
        except StopIteration:
            return f"{seen} from {begun}"
        except BaseException:  # noqa: S112 # whatever it is, it is taken for a bad row
            continue
        seen += 1
        if row == 1 and begun is None:
            pause(this_engine(), Wish(operation_id, "a step"))
            linger()


@workflow("swallowing-over")
def swallowing_over(operation_id: int) -> Canvas:
    """A step whose rows seem to end where it is stopped."""
    canvas: Canvas = same.s([0, 1, 2, 3]) | swallow_over.s(operation_id) | same.s()
    return canvas


def _say(word: str) -> Any:
    said: dict[str, signals.Signal] = {
        "SKIP": signals.SKIP("not needed"),
        "PAUSE": signals.PAUSE("have a look"),
        "RETRY": signals.RETRY("soon", start_time=None),
        "FAIL": signals.FAIL("broken"),
        "SUCCESS": signals.SUCCESS("found", result=7),
    }
    raise said[word]


@step
def say_within(word: str, ledger: str) -> str:
    """Raise a signal where ordinary exceptions are caught."""
    write_line(ledger, word)
    try:
        if len(_lines(ledger)) == 1:
            _say(word)
    except Exception as fault:
        return f"swallowed {type(fault).__name__}"
    return "ran again"


@step(autoretry_for=(Exception,), retry_kwargs={"countdown": 3600, "max_retries": 1})
def say_retried(word: str, ledger: str) -> str:
    """Raise a signal in a task that Celery retries."""
    write_line(ledger, word)
    if len(_lines(ledger)) == 1:
        _say(word)
    return "ran again"


@step(base=Forgiving)
def say_forgiven(word: str, ledger: str) -> str:
    """Raise a signal in a task whose base class catches exceptions."""
    write_line(ledger, word)
    if len(_lines(ledger)) == 1:
        _say(word)
    return "ran again"


class SaysEarly(Task):  # type: ignore[type-arg]
    """A base class whose hook raises a signal."""

    def before_start(self, _task_id: str, args: Any, _kwargs: Any) -> None:
        _say(args[0])


@step(base=SaysEarly)
def say_early(word: str, ledger: str) -> str:
    return f"{word} {ledger}"


SAYERS = {"within": say_within, "autoretry": say_retried, "base class": say_forgiven, "hook": say_early}


@workflow("saying")
def saying(kind: str, word: str, ledger: str) -> Canvas:
    """A step that ends by a signal, somewhere where it could be swallowed."""
    canvas: Canvas = SAYERS[kind].s(word, ledger) | same.s()
    return canvas


@step
def leave(how: str, ledger: str) -> None:
    """Leave as a program would."""
    write_line(ledger, how)
    if how == "interrupt":
        raise KeyboardInterrupt
    codes: dict[str, str | int] = {"-1": -1, "1": 1, "0": 0, "text": "nothing to do"}
    sys.exit(codes[how])


@workflow("leaving-code")
def leaving_code(how: str, ledger: str) -> Canvas:
    """A step that ends the program that it believes to be."""
    canvas: Canvas = leave.s(how, ledger) | same.s()
    return canvas


@step
def fork(how: str, ledger: str) -> str:
    """Fork a child that does not end, but goes on as its parent would."""
    child = os.fork()
    if child == 0:
        write_line(ledger, f"child {os.getpid()}")
        if how == "raise":
            raise ArithmeticError("in the child")
        if how == "exit":
            sys.exit(3)
        if how == "keep":
            cursor.keep("the child's")
        return "the child's"
    _, status = os.waitpid(child, 0)
    return f"the parent's, {os.waitstatus_to_exitcode(status)}"


@workflow("forking")
def forking(how: str, ledger: str) -> Canvas:
    """A step that forks."""
    canvas: Canvas = fork.s(how, ledger) | same.s()
    return canvas


def fork_and_tell(ledger: str) -> None:
    """Fork a child that goes on as its parent does, and write down what became of it."""
    child = os.fork()
    if child == 0:
        return
    until = time.monotonic() + 5
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            write_line(ledger, "the child went on")
            return
        time.sleep(0.001)
    write_line(ledger, f"the child ended with {os.waitstatus_to_exitcode(found[1])}")


def fork_if_told(fault: BaseException) -> bool:
    """Fork with the ledger that the exception names, and want no retry."""
    fork_and_tell(str(fault))
    return False


class ForkingHook(Task):  # type: ignore[type-arg]
    """A base class that forks when its task has failed."""

    def on_failure(self, exc: Exception, *_: Any) -> None:
        fork_and_tell(str(exc))


class ForkingRetry(Task):  # type: ignore[type-arg]
    """A base class that forks when it is asked for a retry."""

    def retry(self, *_: Any, **options: Any) -> Any:
        fork_and_tell(str(options["exc"]))
        return super().retry(**options)


@step
def fail_at(ledger: str) -> None:
    """Fail with an exception that names the ledger."""
    raise ArithmeticError(ledger)


@step(retry_on=fork_if_told, max_retries=1)
def fail_with_forking_condition(ledger: str) -> None:
    raise ArithmeticError(ledger)


@step(base=ForkingHook)
def fail_with_forking_hook(ledger: str) -> None:
    raise ArithmeticError(ledger)


@step(base=ForkingRetry, bind=True, max_retries=1, default_retry_delay=0)
def fail_with_forking_retry(self: Task[Any, Any], ledger: str) -> None:
    if self.request.retries == 0:
        raise self.retry(exc=ArithmeticError(ledger))
    raise ArithmeticError(ledger)


@shared_task
def forking_errback(_request: Any, error: Exception, _traceback: str) -> None:
    """An error callback that forks."""
    fork_and_tell(str(error))


@step
def forking_callback(_retval: Any, _remaining: list[dict[str, Any]], ledger: str) -> None:
    """A callback at a pause point that forks."""
    fork_and_tell(ledger)


#: Where authors' code is called that is no step's own.
FORKING_ELSEWHERE: dict[str, Callable[[str], Canvas]] = {
    "an error callback": lambda ledger: fail_at.s(ledger).on_error(forking_errback.s()),
    "retry_on": lambda ledger: fail_with_forking_condition.s(ledger),
    "a hook": lambda ledger: fail_with_forking_hook.s(ledger),
    "a base class's own retry": lambda ledger: fail_with_forking_retry.s(ledger),
    "a callback at a pause point": lambda ledger: (
        same.s(1) | pause_or_continue.s(clause=same.s(), callback=forking_callback.s(ledger)) | same.s()
    ),
}


@workflow("forking-elsewhere", pause_every=0)
def forking_elsewhere(where: str, ledger: str) -> Canvas:
    """Code that forks, and is no step's own."""
    if where == "a workflow":
        fork_and_tell(ledger)
        return same.s(1)
    return FORKING_ELSEWHERE[where](ledger)


@step
def go_far(ledger: str, end: str) -> str:
    """Keep a hundred places in no time, and end in some way the first time."""
    begun = cursor.place or {"at": 0}
    write_line(ledger, f"from {begun['at']}")
    sums = dict(begun)
    if begun["at"]:
        return f"went on from {begun['at']}"
    for row in range(1, 101):
        sums["at"] = row
        cursor.keep(sums, done=row, total=100)
    sums["at"] = 1000  # what is changed after it was kept is not kept
    if end == "retry":
        raise signals.RETRY("again")
    if end == "pause":
        raise signals.PAUSE("have a look")
    raise ArithmeticError("after the last row")


@step
def go_over_far(ledger: str, _end: str) -> str:
    """Go over a hundred rows in no time, and fail behind them the first time."""
    begun = cursor.place
    for row in cursor.over(range(1, 101)):
        write_line(ledger, str(row))
    if begun is None:
        raise ArithmeticError("after the last row")
    return f"went on from {begun}"


@workflow("going-over-far")
def going_over_far(ledger: str, end: str) -> Canvas:
    """A step that fails behind rows that were kept and not written."""
    canvas: Canvas = go_over_far.s(ledger, end) | same.s()
    return canvas


@workflow("going-far")
def going_far(ledger: str, end: str) -> Canvas:
    """A step that ends behind a place that was kept and not written."""
    canvas: Canvas = go_far.s(ledger, end) | same.s()
    return canvas


def send_limit(where: str, ledger: str) -> None:
    """Send this process the signal by which a pool says that a soft time limit is due."""
    write_line(ledger, f"sent from {where}")
    os.kill(os.getpid(), signal.SIGUSR1)


class Limited(Task):  # type: ignore[type-arg]
    """A base class that sends the signal from its hooks."""

    def before_start(self, _task_id: str, args: Any, _kwargs: Any) -> None:
        if args[0] == "before_start":
            send_limit(*args)

    def after_return(self, _status: str, _value: Any, _task_id: str, args: Any, *_: Any) -> None:
        if args[0] == "after_return":
            send_limit(*args)


class Late(dict):  # type: ignore[type-arg]
    """A value that sends the signal while it is made text."""

    def __init__(self, where: str, ledger: str) -> None:
        super().__init__(a=1)
        self.call = where, ledger

    def items(self) -> Any:
        send_limit(*self.call)
        return super().items()


@celery_signals.task_postrun.connect
def _send_at_postrun(task: Any, args: Any, **_: Any) -> None:
    if task.name.endswith(".limited_at") and args[0] == "postrun":
        send_limit(*args)


def _send_when_it_ended(obj: Subject, _old: State, new: State) -> None:
    if new.is_finished() and obj.arguments["where"] == "handler":
        send_limit("handler", obj.arguments["ledger"])


def _go_on(where: str, ledger: str) -> dict[str, int]:
    write_line(ledger, "ran")
    if where == "code":
        send_limit(where, ledger)
    if where == "keep":
        cursor.keep(Late(where, ledger))
    if where == "long":
        time.sleep(60)
    return Late(where, ledger) if where == "value" else {"a": 1}


@step(base=Limited, soft_time_limit=20)
def limited_at(where: str, ledger: str) -> dict[str, int]:
    return _go_on(where, ledger)


@step(base=Limited, soft_time_limit=20, state_handlers=[_send_when_it_ended])
def limited_handled(where: str, ledger: str) -> dict[str, int]:
    return _go_on(where, ledger)


@workflow("limited-at")
def limited_at_one_place(where: str, ledger: str) -> Canvas:
    """A step that is sent the signal of its soft time limit somewhere."""
    if where == "handler":
        return limited_handled.s(where, ledger)
    options: dict[str, Any] = {"soft_time_limit": 1} if where == "long" else {}
    return limited_at.s(where, ledger).set(**options)


@shared_task(soft_time_limit=1)
def tidy(_task_id: str, ledger: str) -> None:
    """A task that is no step, as error callbacks are."""
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded as why:
        write_line(ledger, type(why).__name__)


@workflow("limited-errback")
def limited_errback(ledger: str) -> Canvas:
    """A step that fails, and an error callback with a soft time limit."""
    canvas: Canvas = fail.s().on_error(tidy.s(ledger=ledger))
    return canvas


@step(bind=True)
def grow_while_paused(self: Task[Any, Any], how: str, ledger: str, operation_id: int) -> Any:
    """Ask for a pause, and put other steps in its own place."""
    pause(this_engine(), Wish(operation_id, "a step"))
    parts = [note_and_double.s(number, ledger) for number in (1, 2, 3)]
    one_by_one = chain(note_and_double.s(1, ledger), note_and_double.s(ledger))
    return self.replace({"group": group(parts), "chain": one_by_one, "one": parts[0]}[how])


@step
def ask_once(question: str) -> str:
    """Pause until a person has resumed, and go on then."""
    if cursor.place != "asked":
        cursor.keep("asked")
        raise signals.PAUSE(question)
    return "went on"


@workflow("asking-once")
def asking_once() -> Canvas:
    """A step that asks a person once, and one more."""
    canvas: Canvas = ask_once.s("Is it right?") | same.s()
    return canvas


def _ask_a_person(upstream: Any) -> bool:
    if not triggers.is_resumed():
        raise signals.PAUSE(f"{len(upstream)} before it")
    return True


@step(trigger="manual_only", max_retries=1, retry_on=LookupError)
def approved(value: Any = None, ledger: str = "", how: str = "") -> Any:
    """Run once a person has resumed, and fail the first time."""
    write_line(ledger, str(value))
    if how == "retry" and len(_lines(ledger)) == 1:
        raise LookupError("not yet")
    if how == "fail":
        raise ArithmeticError("never")
    return value


@step(trigger=_ask_a_person)
def approved_by_own(value: Any = None, ledger: str = "", how: str = "") -> Any:
    write_line(ledger, f"{value}{how}")
    return value


@workflow("approved")
def approved_step(kind: str, ledger: str, how: str = "") -> Canvas:
    """A step that a person has to let run, between two others or as the first."""
    if kind == "first":
        return approved.si(7, ledger, how) | same.s()
    step_of_kind = approved if kind == "manual" else approved_by_own
    canvas: Canvas = same.s(7) | step_of_kind.s(ledger, how) | same.s()
    return canvas


@step
def note_and_double(number: int, ledger: str) -> int:
    write_line(ledger, str(number))
    return number * 2


def _growing_while_paused(how: str, ledger: str, operation_id: int) -> Canvas:
    """A step that grows while a pause is requested, and one more."""
    canvas: Canvas = same.s(how) | grow_while_paused.s(ledger, operation_id) | same.s()
    return canvas


growing_while_paused = workflow("growing-while-paused")(_growing_while_paused)
growing_unpaused = workflow("growing-unpaused", pause_every=0)(_growing_while_paused)
