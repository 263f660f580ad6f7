"""How a run of a step ended, as the state that people's code is told of; and the state that it chose, as an ending."""

from __future__ import annotations

from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Final

from pausable import clock
from pausable.canvas.values import decode, encode, fault_in
from pausable.engine.step_log import add_to_log
from pausable.errors import ResultRefused, SecretInResult
from pausable.model.signals import Signal
from pausable.model.states import KINDS, Attributes, Paused, Pending, Retrying, Running, State, StepState, Success
from pausable.model.times import seconds_of, utc
from pausable.results.references import escaped, unescaped
from pausable.secrets import found_in, redacted
from pausable.texts import MESSAGE, NAME, TRACEBACK, cut
from pausable.texts import storable as storable_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pausable.db.claims import Kept
    from pausable.db.transitions import StepTask
    from pausable.model.graph import Graph

#: Types of errors that stand for a state that somebody asked for, in words of their own.
_SPEAKING: Final = {*KINDS, *(signal.__name__ for signal in Signal.__subclasses__())}
STARTING: Final = "Starting task run."
SUCCEEDED: Final = "Task run succeeded."
STOPPED: Final = "It stopped at its cursor, to go on from there."


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run of a step ended: its state, and with it a result, an error, or the call to make again and when."""

    state: StepState
    result: str | None = None
    error: str | None = None
    due_at: float | None = None
    #: `retries`, and `args` and `kwargs` where the next run is to have others than this one.
    again: Mapping[str, Any] | None = None
    exception: BaseException | None = None
    #: The canvas that it puts in its own place, and the graph that this is.
    canvas: Any = None
    graph: Graph | None = None
    #: The last place that its code has kept, where the table does not have it yet.
    kept: Kept | None = None
    #: What a signal, a handler or a trigger said of the state.
    message: str | None = None
    #: The arguments, where it failed: an error callback may ask for them.
    called_with: tuple[list[Any], dict[str, Any]] = ([], {})


def before(step: StepTask) -> State:
    """Where a claimed step stood before: it waited, for its first run or for another."""
    if step.retries == 0:
        return Pending()
    return Retrying(run_count=step.retries, start_time=_moment(clock.now()))


def starting() -> Running:
    """The state of a step whose code is about to run."""
    return Running(STARTING)


def state_of(ending: Ending, step: StepTask) -> State:
    """The state that an ending stands for."""
    result = shown(ending.result)
    if ending.state is StepState.SUCCESS:
        return Success(ending.message or SUCCEEDED, result)
    if ending.state is StepState.RETRYING:
        due = clock.now() if ending.due_at is None else ending.due_at
        runs = step.retries + 1
        return Retrying(ending.message or f"Retrying Task (after attempt {runs})", None, _moment(due), runs)
    return told(ending.state, ending.message, ending.error, result)


def told(state: StepState, message: str | None, error: str | None, result: Any) -> State:
    """The state of a step as the table has it; `error` is JSON, and tells in its words where there is no message."""
    kind = KINDS.get(state, Pending)
    words = message or (words_of_facts(decode(error)) if error else None)
    return kind(words, Attributes(result) if type(result) is dict else result)


def words_of_facts(facts: Mapping[str, Any]) -> str:
    """Return an error's facts as one line: `ConnectionError: no route`, or the type alone where it has no text.

    Of a signal or a state the type says nothing that its text does not, so the text stands alone.
    """
    kind, text = str(facts.get("type") or ""), str(facts.get("message") or "")
    if not text or kind in _SPEAKING:
        return text or kind
    return f"{kind}: {text}" if kind else text


def is_an_end(state: State) -> bool:
    """Whether a step that has run, or is not to run, may be left in this state."""
    return state.is_finished() or state.is_retrying() or type(state) is Paused


def may_begin(state: State) -> bool:
    """Whether a handler may answer this when a step is about to run."""
    return state.is_running() or is_an_end(state)


def ending_of(state: State, task: str, retries: int) -> Ending:
    """The ending that a state stands for, of a task that was retried so often before.

    Raises ResultRefused, SecretInResult.
    """
    kind, message = StepState(state.name), None if state.message is None else kept_text(state.message)
    result = storable(task, state.result) if state.result is not None or state.is_successful() else None
    if isinstance(state, Retrying):
        due = seconds_of(state.start_time) if state.start_time else clock.now()
        return Ending(kind, due_at=due, again={"retries": retries + 1}, message=message)
    if isinstance(state, Paused):
        until = state.start_time.timestamp() if state.start_time else None
        return Ending(kind, result=result, due_at=until, message=message)
    error = None
    if state.is_failed() or state.is_cancelled():
        error = encode({"type": state.name, "message": message or "", "traceback": ""})
    return Ending(kind, result=result, error=error, message=message)


def _moment(seconds: float) -> datetime:
    return utc(seconds)


def error_ending(error: BaseException, traceback: str, words: str | None = None) -> Ending:
    """How a step ends whose code, or what belongs to it, raised this; `words` tell of it, or its own message does."""
    try:
        carried = _carried_by(error)
    except Exception as why:  # what it carries is no value of JSON's, or a secret
        error, carried = why, None
    facts = {
        "type": name_of(error),
        "message": words or words_of(error),
        "traceback": kept_text(traceback, TRACEBACK),
    }
    return Ending(StepState.FAILED, carried, encode(facts), exception=error)


def _carried_by(error: BaseException) -> str | None:
    """What a signal carries, as the result of the failure that it stands for."""
    if not isinstance(error, Signal) or error.state.result is None:
        return None
    return storable(type(error).__name__, error.state.result)


def storable(name: str, value: Any) -> str:
    """What a task of that name hands on, as JSON. Raises ResultRefused, SecretInResult."""
    try:
        text = encode(value)
    except Exception as why:  # a value may bring code of its own that makes JSON of it
        raise ResultRefused(name, words_of(why), cut(redacted(fault_in(value)), NAME)) from None
    if secret := found_in(text):
        raise SecretInResult(name, "result", secret)
    return escaped(text)


def shown(text: str | None) -> Any:
    """The value of a result, as far as the table has it: of one that lies in a store, the reference."""
    return decode(text and unescaped(text))


def name_of(error: BaseException) -> str:
    """The name of the type of an exception."""
    return cut(storable_text(type(error).__name__), NAME)


def words_of(error: object) -> str:
    """The message of an exception, whose author's code may raise another while it tells."""
    try:
        text = str(error)
    except Exception:
        return "its message cannot be read"
    return kept_text(text)


def kept_text(text: object, most: int = MESSAGE) -> str:
    """Return a text of an author's code as it is kept: without secrets, in characters that can be stored, and cut.

    What is cut goes whole into the log of the step that runs here, as far as there is room in that.
    """
    told = storable_text(redacted(str(text)))
    if len(told) > most:
        add_to_log(told)
    return cut(told, most)


def stopped() -> Ending:
    """How a run ends that stopped at its cursor: it is queued again, or held where its operation is to pause."""
    return Ending(StepState.QUEUED, message=STOPPED)


def failed(error: BaseException) -> Ending:
    """How a step ends that cannot be run, because of an error raised before its code."""
    return error_ending(error, "".join(format_exception(error)))


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that has run and how it ended; `claimed` tells whether the table knows of its claim yet.

    One that its holder gives back before its code was started has no `started_at`.
    """

    step: StepTask
    ending: Ending
    claimed: bool
    started_at: float | None
    finished_at: float
    #: Whether a step may wait for it that is not among those that end with it.
    is_awaited: bool = True
