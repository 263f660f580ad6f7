"""Where an operation and a step may stand, and every legal move between, each with the sentence that says when."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Completion(StrEnum):
    """Where an operation stands; the exact texts of the column `operations.completion`."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    REQUESTING_PAUSE = "REQUESTING PAUSE"
    PAUSED = "PAUSED"
    REQUESTING_CANCEL = "REQUESTING CANCEL"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class StepState(StrEnum):
    """Where a step stands; the exact texts of the column `steps.state`."""

    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    RETRYING = "Retrying"
    PAUSED = "Paused"
    SUCCESS = "Success"
    FAILED = "Failed"
    TRIGGER_FAILED = "TriggerFailed"
    CANCELLED = "Cancelled"


#: An operation that stands here never moves again.
ENDED: Final = frozenset({Completion.COMPLETED, Completion.FAILED, Completion.CANCELLED})
#: A worker may claim a step of an operation that stands here.
CLAIMABLE: Final = frozenset({Completion.SCHEDULED, Completion.IN_PROGRESS})
#: `drain` ends these as soon as nothing of the operation runs.
REQUESTING: Final = frozenset({Completion.REQUESTING_PAUSE, Completion.REQUESTING_CANCEL})

#: A step that stands here never moves again.
FINAL: Final = frozenset({StepState.SUCCESS, StepState.FAILED, StepState.TRIGGER_FAILED, StepState.CANCELLED})
#: A step that stands here has not ended and is in nobody's hands.
IDLE: Final = frozenset({StepState.PENDING, StepState.QUEUED, StepState.RETRYING, StepState.PAUSED})

_C = Completion
#: Every legal move of an operation, and when it happens.
OPERATION_MOVES: Final = MappingProxyType(
    {
        (_C.SCHEDULED, _C.IN_PROGRESS): "A worker claims the first step.",
        (_C.SCHEDULED, _C.REQUESTING_PAUSE): "A pause is asked for before any step has started.",
        (_C.SCHEDULED, _C.REQUESTING_CANCEL): "A cancel is asked for before any step has started.",
        (_C.IN_PROGRESS, _C.REQUESTING_PAUSE): "A person, or a pause point's own clause, asks for a pause.",
        (_C.IN_PROGRESS, _C.REQUESTING_CANCEL): "A person asks for a cancel.",
        (_C.IN_PROGRESS, _C.COMPLETED): "The last step ends and none has failed.",
        (_C.IN_PROGRESS, _C.FAILED): "The last step that could still run ends and one has failed.",
        (_C.REQUESTING_PAUSE, _C.PAUSED): "Nothing of the operation runs and workflow.json is written.",
        (_C.REQUESTING_PAUSE, _C.IN_PROGRESS): "The pause is withdrawn before it took effect.",
        (
            _C.REQUESTING_PAUSE,
            _C.REQUESTING_CANCEL,
        ): "A cancel is asked for while the pause waits for the step in hand.",
        (_C.REQUESTING_PAUSE, _C.COMPLETED): "The step in hand was the last one: there is nothing left to pause.",
        (_C.REQUESTING_PAUSE, _C.FAILED): "The step in hand ends, nothing is left that could run, and one has failed.",
        (_C.PAUSED, _C.IN_PROGRESS): "A person resumes it and its workflow.json is whole.",
        (
            _C.PAUSED,
            _C.REQUESTING_CANCEL,
        ): "A person cancels it; nothing runs, so it is CANCELLED in the same transaction.",
        (_C.REQUESTING_CANCEL, _C.CANCELLED): "Nothing of the operation runs any more.",
        (_C.REQUESTING_CANCEL, _C.COMPLETED): "The step in hand was the last one and it succeeded.",
        (_C.REQUESTING_CANCEL, _C.FAILED): "The step in hand ends, nothing is left that could run, and one has failed.",
    }
)

_S = StepState
#: Every legal move of a step, and when it happens.
STEP_MOVES: Final = MappingProxyType(
    {
        (_S.PENDING, _S.QUEUED): "Its upstreams have succeeded; it is published, or about to be.",
        (_S.PENDING, _S.RUNNING): "The worker that settled its upstream claims it in the same transaction.",
        (_S.PENDING, _S.PAUSED): "It became ready at a pause point while a pause is requested: it is held.",
        (_S.PENDING, _S.SUCCESS): "It ran and ended within the one transaction that settles its short upstreams too.",
        (_S.PENDING, _S.FAILED): "It ran and failed within the one transaction that settles its short upstreams too.",
        (_S.PENDING, _S.RETRYING): "It asked for a retry within the one transaction that settles its short upstreams.",
        (_S.PENDING, _S.TRIGGER_FAILED): "A step upstream has failed.",
        (_S.PENDING, _S.CANCELLED): "Its operation is cancelled.",
        (_S.QUEUED, _S.RUNNING): "A worker claims it.",
        (_S.QUEUED, _S.PAUSED): "A pause takes effect before a worker has claimed it, or its own clause asks for one.",
        (_S.QUEUED, _S.CANCELLED): "Its operation is cancelled.",
        (_S.RUNNING, _S.SUCCESS): "Its code returned.",
        (_S.RUNNING, _S.FAILED): "Its code raised, it outlived its time limit, or its worker was lost too often.",
        (_S.RUNNING, _S.RETRYING): "Its code asked to be run again later.",
        (_S.RUNNING, _S.QUEUED): "Its worker was lost, or handed it back on leaving.",
        (_S.RETRYING, _S.QUEUED): "Its waiting time is over.",
        (_S.RETRYING, _S.CANCELLED): "Its operation is cancelled.",
        (_S.PAUSED, _S.QUEUED): "Its operation is resumed, or the pause is withdrawn.",
        (_S.PAUSED, _S.CANCELLED): "Its operation is cancelled.",
    }
)


def as_page() -> str:
    """The tables as the page `docs/states.md`."""
    return "\n".join(
        [
            "# States",
            "",
            "The tables of `app/domain/states.py`, which the code obeys: a move that is not here is refused and",
            "changes nothing. (`python -c 'from app.domain.states import as_page; print(as_page())'` prints it.)",
            "",
            "## An operation (`operations.completion`)",
            "",
            *_rows(OPERATION_MOVES),
            "",
            "`COMPLETED`, `FAILED` and `CANCELLED` are final. `PAUSED` means quiescent: nothing of the operation runs.",
            "",
            "## A step (`steps.state`)",
            "",
            *_rows(STEP_MOVES),
            "",
            "`Success`, `Failed`, `TriggerFailed` and `Cancelled` are final. A step in `Paused` is held: it is ready,",
            "and runs on resume.",
        ]
    )


def _rows(moves: Mapping[Any, str]) -> list[str]:
    rows = [f"| `{source}` | `{target}` | {when} |" for (source, target), when in moves.items()]
    return ["| from | to | when |", "|---|---|---|", *rows]
