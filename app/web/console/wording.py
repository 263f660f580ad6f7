"""What the pages say of an operation in words, and how figures are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pausable import clock
from pausable.db.statements import COUNTED
from pausable.model import picture
from pausable.model.states import Completion
from pausable.model.times import in_utc, left, spoken, utc
from pausable.results.references import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pausable.db.operations import Operation, OperationSummary
    from pausable.db.steps import Running, ShownStep
    from pausable.db.views import Move
    from pausable.service.operations import View
    from pausable.service.pages import Portrait

_C = Completion
#: The lines of the marks of steps.
STEP_MARKS: Final = picture.MARKS
#: Steps in hand that a sentence names.
_NAMED: Final = 3
#: Characters of a JSON text that a page shows.
SHOWN: Final = 8_000
#: Characters of one that is laid out in lines before it is cut.
_LAID_OUT: Final = 100_000
#: What a button says that asks for a verb, where the operation stands.
_BUTTONS: Final = {
    ("resume", _C.REQUESTING_PAUSE): "Withdraw the pause",
    ("pause", None): "Pause",
    ("resume", None): "Resume",
    ("cancel", None): "Cancel",
    ("retry", None): "Retry failed steps",
}
_BRIEFLY: Final = {"Withdraw the pause": "Withdraw", "Retry failed steps": "Retry"}
#: The lines of a mark within 16 by 16 pixels, by completion: where an operation stands is never told by colour alone.
MARKS: Final = {
    _C.SCHEDULED: "M8 2.5a5.5 5.5 0 1 0 .01 0zM8 5v3.5h3",
    _C.IN_PROGRESS: STEP_MARKS["Running"],
    _C.REQUESTING_PAUSE: "M4 3v10M8 3v10M12 6v4",
    _C.PAUSED: STEP_MARKS["Paused"],
    _C.REQUESTING_CANCEL: "M8 2.5a5.5 5.5 0 1 0 .01 0zM4 4l4 4",
    _C.CANCELLED: STEP_MARKS["Cancelled"],
    _C.COMPLETED: STEP_MARKS["Success"],
    _C.FAILED: STEP_MARKS["Failed"],
}


def button(verb: str, completion: Completion | None) -> str:
    """What the button says that asks for this."""
    return _BUTTONS.get((verb, completion)) or _BUTTONS[verb, None]


def brief_button(verb: str, completion: Completion) -> str:
    """The same where there is little room."""
    said = button(verb, completion)
    return _BRIEFLY.get(said, said)


def counted(number: int) -> str:
    """A number of operations, as far as they were counted."""
    return f"{number:,}" if number <= COUNTED else f"{COUNTED:,}+"


def slug(state: str) -> str:
    """A state as the style sheet names it."""
    return state.lower().replace(" ", "-")


def part(operation: OperationSummary, running: float = 0.0) -> float:
    """How much of it is done, from 0 to 1, with what is done of the steps that run."""
    return min(1.0, (operation.steps_done + running) / operation.steps_total) if operation.steps_total else 0.0


def far(operation: OperationSummary) -> str:
    """How many of its steps have ended."""
    many = "step" if operation.steps_total == 1 else "steps"
    return f"{operation.steps_done:,} of {operation.steps_total:,} {many}"


def percent(share: float) -> str:
    """A part in percent, rounded down: 100 only when all is done."""
    return f"{int(share * 100)} %"


def moment(seconds: float | None) -> str:
    """A moment, as people write it."""
    return "" if seconds is None else in_utc(seconds)


def brief(seconds: float | None) -> str:
    """A moment, without its date where that is today's."""
    if seconds is None:
        return ""
    then, today = utc(seconds), utc(clock.now()).date()
    if then.date() == today:
        return f"{then:%H:%M:%S}"
    return f"{then:%d %b %H:%M}" if then.year == today.year else f"{then:%Y-%m-%d}"


def clock_time(seconds: float) -> str:
    """The hour and minute of a moment."""
    return f"{utc(seconds):%H:%M}"


def iso(seconds: float) -> str:
    """A moment, as programs read it."""
    return utc(seconds).isoformat(timespec="seconds")


def lasted(begin: float | None, end: float | None) -> str:
    """How long something took, or has taken so far."""
    if begin is None:
        return ""
    seconds = (end or clock.now()) - begin
    return f"{max(seconds, 0) * 1000:.0f} ms" if seconds < 0.1 else spoken(seconds)


def sentence(view: View) -> str:
    """Where an operation stands, in words."""
    return _SENTENCES[view.operation.completion](view.operation, view.in_flight)


def asked(moves: Sequence[Move], operation: Operation) -> str:
    """Who brought it to where it stands, when, and why."""
    last = next((move for move in reversed(moves) if move.new == operation.completion), None)
    if last is None or operation.completion in (_C.IN_PROGRESS, _C.COMPLETED, _C.SCHEDULED):
        return ""
    asking = {_C.PAUSED: _C.REQUESTING_PAUSE, _C.CANCELLED: _C.REQUESTING_CANCEL}.get(operation.completion)
    by = next((move for move in reversed(moves) if move.new == asking), last) if last.who == "worker" else last
    why = by.why or operation.reason
    return f"{by.who}, {in_utc(by.at)}" + (f": “{why}”" if why else "")


def time_left(of: Portrait) -> str:
    """How much longer it will take if it goes on as it did; empty while that cannot be told."""
    one = of.view.operation
    if one.completion is not _C.IN_PROGRESS or one.started_at is None:
        return ""
    ended = sum(ran.finished_at is not None for ran in of.bars)
    spans = [(ran.started_at, ran.finished_at or clock.now()) for ran in of.bars]
    seconds = left(spans, ended + of.part, one.steps_left - of.part)
    return "" if seconds is None else f"about {spoken(seconds)} left"


def within(step: Running | ShownStep) -> str:
    """How far a step is by its own account."""
    if step.done is None:
        return ""
    return f"{step.done:,}" if step.total is None else f"{step.done:,} of {step.total:,}"


def pretty(text: str | None) -> str:
    """JSON as people read it, cut where it is long."""
    written = text or "null"
    try:
        whole = written if len(written) > _LAID_OUT else json.dumps(json.loads(written), ensure_ascii=False, indent=2)
    except RecursionError:
        whole = written
    return _sayable(whole if len(whole) <= SHOWN else f"{whole[:SHOWN]}\n…")


def result(one: Operation, place: str) -> str:
    """The result of an operation as people read it; what lies in a store is to be had whole at the place."""
    is_of_parts = one.completion is Completion.PAUSED or one.outcome.startswith("[")
    return pretty(shown(one.result or "null", place, is_of_parts=is_of_parts))


def fault(text: str | None) -> dict[str, str]:
    """What an error tells: `step`, `type`, `message`, `traceback`; empty where there is none."""
    facts: dict[str, Any] = json.loads(text) if text else {}
    return {name: _sayable(str(value)) for name, value in facts.items() if value is not None}


def _sayable(text: str) -> str:
    """The text without halves of characters, which JSON can write and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _scheduled(one: Operation, _running: Sequence[Running]) -> str:
    return f"Starts at {in_utc(one.due_at)}." if one.due_at else "Waiting for a worker."


def _in_progress(_one: Operation, running: Sequence[Running]) -> str:
    return f"Running: {_named(running)}." if running else "The next step is waiting for a worker or for its time."


def _completed(one: Operation, _running: Sequence[Running]) -> str:
    return f"Completed after {spoken((one.finished_at or 0) - (one.started_at or one.created_at))}."


def _paused(one: Operation, _running: Sequence[Running]) -> str:
    if one.moved_at is not None:
        return f"Moved at {in_utc(one.moved_at)}: it continues elsewhere, not here."
    again = f" It resumes automatically at {in_utc(one.resume_at)}." if one.resume_at else ""
    return f"Paused: nothing of it runs anywhere.{again}"


def _finishing(running: Sequence[Running]) -> str:
    doubtful = [step for step in running if not step.is_confirmed]
    if doubtful:
        return f"The worker that claimed {_named(doubtful)} is silent: its code may still be running."
    if not running:
        return "nothing runs any more; its state is being saved."
    waits = "the running step" if len(running) == 1 else f"{len(running)} running steps"
    return f"waiting for {waits} to finish: {_named(running)}."


def _named(running: Sequence[Running]) -> str:
    named = ", ".join(step.slug for step in running[:_NAMED])
    return f"{named} and {len(running) - _NAMED} more" if len(running) > _NAMED else named


_SENTENCES: Final[dict[Completion, Callable[[Operation, Sequence[Running]], str]]] = {
    _C.SCHEDULED: _scheduled,
    _C.IN_PROGRESS: _in_progress,
    _C.REQUESTING_PAUSE: lambda _, running: f"Pausing… {_finishing(running)}",
    _C.PAUSED: _paused,
    _C.REQUESTING_CANCEL: lambda _, running: f"Cancelling… {_finishing(running)}",
    _C.CANCELLED: lambda *_: "Cancelled: no more steps will run.",
    _C.COMPLETED: _completed,
    _C.FAILED: lambda *_: "Failed. Completed steps are kept: a retry runs only the others.",
}
