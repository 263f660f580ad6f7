"""Every legal move of an operation and of a step, each with the sentence that says when it happens."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from app.domain.states import KINDS, Completion, State, StepState

if TYPE_CHECKING:
    from collections.abc import Mapping

_C = Completion
#: Every legal move of an operation, and when it happens.
OPERATION_MOVES: Final = MappingProxyType(
    {
        (_C.SCHEDULED, _C.IN_PROGRESS): "A worker claims the first step.",
        (_C.SCHEDULED, _C.REQUESTING_PAUSE): "A pause is asked for before any step has started.",
        (_C.SCHEDULED, _C.REQUESTING_CANCEL): "A cancel is asked for before any step has started.",
        (_C.SCHEDULED, _C.COMPLETED): "A state handler ends it as it begins: no step of it runs.",
        (_C.SCHEDULED, _C.FAILED): "A state handler ends it as it begins, or raises: no step of it runs.",
        (_C.SCHEDULED, _C.CANCELLED): "A state handler cancels it as it begins: no step of it runs.",
        (_C.IN_PROGRESS, _C.REQUESTING_PAUSE): "A person, or a pause point's own clause, asks for a pause.",
        (_C.IN_PROGRESS, _C.REQUESTING_CANCEL): "A person asks for a cancel.",
        (_C.IN_PROGRESS, _C.COMPLETED): "The last step ends, and all its reference steps have ended well.",
        (_C.IN_PROGRESS, _C.FAILED): "The last step that could still run ends, and a reference step has failed.",
        (_C.IN_PROGRESS, _C.CANCELLED): "Its last step ends, and code of its author cancelled a reference step, or it.",
        (_C.REQUESTING_PAUSE, _C.PAUSED): "Nothing of the operation runs and workflow.json is written.",
        (_C.REQUESTING_PAUSE, _C.IN_PROGRESS): "The pause is withdrawn before it took effect.",
        (_C.REQUESTING_PAUSE, _C.SCHEDULED): "The pause is withdrawn before the time at which it is to start.",
        (
            _C.REQUESTING_PAUSE,
            _C.REQUESTING_CANCEL,
        ): "A cancel is asked for while the pause waits for the step in hand.",
        (_C.REQUESTING_PAUSE, _C.COMPLETED): "The step in hand was the last one: there is nothing left to pause.",
        (_C.REQUESTING_PAUSE, _C.FAILED): "The step in hand ends, nothing is left to run, and a reference step failed.",
        (_C.REQUESTING_PAUSE, _C.CANCELLED): "The step in hand was the last one, and code of its author cancelled it.",
        (_C.PAUSED, _C.IN_PROGRESS): "A person, or at `resume_at` the service, resumes it; its workflow.json is whole.",
        (_C.PAUSED, _C.SCHEDULED): "It is resumed before the time at which it is to start.",
        (
            _C.PAUSED,
            _C.REQUESTING_CANCEL,
        ): "A person cancels it; nothing runs, so it is CANCELLED in the same transaction.",
        (_C.REQUESTING_CANCEL, _C.CANCELLED): "Nothing of the operation runs any more.",
        (_C.REQUESTING_CANCEL, _C.COMPLETED): "The step in hand was the last one and it succeeded.",
        (
            _C.REQUESTING_CANCEL,
            _C.FAILED,
        ): "The step in hand ends, nothing is left to run, and a reference step failed.",
        (_C.FAILED, _C.IN_PROGRESS): "A person has its failed steps run again.",
    }
)

_S = StepState
#: Every legal move of a step, and when it happens.
STEP_MOVES: Final = MappingProxyType(
    {
        (_S.PENDING, _S.QUEUED): "Its upstreams have ended; it is published, or about to be.",
        (_S.PENDING, _S.RUNNING): "The worker that settled its upstream claims it in the same transaction.",
        (_S.PENDING, _S.PAUSED): "It became ready at a pause point while a pause is requested: it is held.",
        (_S.PENDING, _S.SUCCESS): "It ran and ended within the one transaction that settles its short upstreams too.",
        (_S.PENDING, _S.FAILED): "It ran and failed within the one transaction that settles its short upstreams too.",
        (_S.PENDING, _S.RETRYING): "It asked for a retry within the one transaction that settles its short upstreams.",
        (_S.PENDING, _S.SKIPPED): "A step upstream was skipped, or it asked for that within such a transaction.",
        (_S.PENDING, _S.TRIGGER_FAILED): "A step upstream has failed.",
        (_S.PENDING, _S.CANCELLED): "Its operation is cancelled.",
        (_S.QUEUED, _S.RUNNING): "A worker claims it.",
        (_S.QUEUED, _S.PAUSED): "A pause takes effect before a worker has claimed it, or its own clause asks for one.",
        (_S.QUEUED, _S.CANCELLED): "Its operation is cancelled.",
        (_S.RUNNING, _S.SUCCESS): "Its code returned, or its code or a handler said so.",
        (_S.RUNNING, _S.CACHED): "Its target was there already, or a handler found its result elsewhere.",
        (_S.RUNNING, _S.SKIPPED): "Its code or a handler said so, or a step upstream was skipped.",
        (_S.RUNNING, _S.FAILED): "Its code raised, it outlived its time limit, or its worker was lost too often.",
        (_S.RUNNING, _S.TRIGGER_FAILED): "Its trigger did not let it run.",
        (_S.RUNNING, _S.CANCELLED): "A handler said so, or its operation was ended by one.",
        (_S.RUNNING, _S.RETRYING): "It is to be run again later.",
        (
            _S.RUNNING,
            _S.PAUSED,
        ): "It or a handler asked for a pause, or it stopped at its cursor for one: it is held.",
        (
            _S.RUNNING,
            _S.QUEUED,
        ): "Its worker was lost, or handed it back on leaving, or a pause that is due now stopped it.",
        (_S.RETRYING, _S.QUEUED): "Its waiting time is over.",
        (_S.RETRYING, _S.CANCELLED): "Its operation is cancelled.",
        (_S.PAUSED, _S.QUEUED): "Its operation is resumed, or the pause is withdrawn, or its time to start has come.",
        (_S.PAUSED, _S.CANCELLED): "Its operation is cancelled.",
        (_S.FAILED, _S.PENDING): "Its operation is retried.",
        (_S.TRIGGER_FAILED, _S.PENDING): "Its operation is retried.",
        (_S.CANCELLED, _S.PENDING): "Its operation is retried.",
        (_S.SUCCESS, _S.PENDING): "Its operation is retried, and a failed step before it runs again first.",
        (_S.CACHED, _S.PENDING): "Its operation is retried, and a failed step before it runs again first.",
        (_S.SKIPPED, _S.PENDING): "Its operation is retried, and a failed step before it runs again first.",
    }
)


_PAGE: Final = """\
# States

The tables of `app/domain/moves.py`, which the code obeys: a move that is not here is refused and
changes nothing. (`python -c 'from app.domain.moves import as_page; print(as_page())'` prints it.)

## An operation (`operations.completion`)

{operations}

`COMPLETED`, `FAILED` and `CANCELLED` are ends; a retry alone leads on from `FAILED`. `PAUSED` means
quiescent: nothing of the operation runs.

## A step (`steps.state`)

{steps}

`Success`, `Cached`, `Skipped`, `Failed`, `TriggerFailed` and `Cancelled` are ends; a retry of the operation
alone leads on from them. A step in `Paused` is held: it is ready, and runs on resume, or when the time has come at
which its operation is to start.

## What state objects say of themselves

The objects that state handlers, triggers and notifications are told of (`app.domain.states`).

{predicates}"""


def as_page() -> str:
    """The tables as the page `docs/states.md`."""
    tables = {"operations": _rows(OPERATION_MOVES), "steps": _rows(STEP_MOVES), "predicates": _predicates()}
    return _PAGE.format(**{name: "\n".join(rows) for name, rows in tables.items()})


def _rows(moves: Mapping[Any, str]) -> list[str]:
    rows = [f"| `{source}` | `{target}` | {when} |" for (source, target), when in moves.items()]
    return ["| from | to | when |", "|---|---|---|", *rows]


def _predicates() -> list[str]:
    names = [name for name in vars(State) if name.startswith("is_")]
    head = [f"| | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    marks = (["yes" if getattr(kind(), name)() else "" for name in names] for kind in KINDS.values())
    return head + [f"| `{kind}` | {' | '.join(row)} |" for kind, row in zip(KINDS, marks, strict=True)]
