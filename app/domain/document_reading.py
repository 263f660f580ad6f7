"""What a document tells, taken out of it again: the reverse of `app.domain.document.compose`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.domain.document import MARK, Cursor, Head, Origin, StepFacts
from app.domain.graph import PausePoint, numbered
from app.domain.growth import Growth
from app.domain.states import BAD, FINAL, Completion, StepState
from app.domain.triggers import SKIPPED_WITH, not_run_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.domain.document_check import Document

_S = StepState


def facts_of(document: Document) -> tuple[Head, list[StepFacts]]:
    """What a checked document of the second format tells; its steps are numbered from 0 in their order there."""
    numbers = {step["task"]["slug"]: number for number, step in enumerate(document["steps"])}
    steps = [_step(number, step, numbers) for number, step in enumerate(document["steps"])]
    head = Head(
        document["operation_id"],
        document["workflow"],
        document["arguments"],
        numbered(document["outcome"], numbers),
        Origin(**document["origin"]),
        slice=document["slice"],
        completion=Completion(document["completion"]),
        created_at=document["created_at"],
        started_at=document["started_at"],
        paused_at=document["paused_at"],
        error=document["error"],
        result=document["result"],
        code=document.get("code"),
        spent=document.get("spent", False),
        start_at=document.get("start_at"),
    )
    return head, steps


def _step(number: int, told: Mapping[str, Any], numbers: Mapping[str, int]) -> StepFacts:
    point, state = told.get("point"), told["state"]
    return StepFacts(
        number=number,
        slug=told["task"]["slug"],
        state=_S(state["type"]),
        signature=told["signature"],
        inputs=numbered(told.get("inputs"), numbers),
        upstream=tuple(sorted(numbers[slug] for slug in told["upstream"])),
        point=PausePoint(point["number"], point["clause"], point["callback"]) if point else None,
        result={MARK: _reference(told["kept"])} if told.get("kept") else marked(state["result"]),
        error=told.get("error"),
        message=state["message"],
        cursor=Cursor(**told["cursor"]) if told.get("cursor") else None,
        decides=told.get("decides", False),
        passed=bool(point and point["passed"]),
        retries=told.get("retries", 0),
        runs=told.get("runs", 0),
        due_at=told.get("due_at"),
        started_at=told.get("started_at"),
        finished_at=told.get("finished_at"),
        growth=Growth.numbered(told["growth"], numbers) if told.get("growth") else None,
    )


def _reference(kept: Mapping[str, str]) -> dict[str, str]:
    """Where a result is kept, in the order in which the table has it: a document may have been sorted."""
    return {name: kept[name] for name in ("store", "path", "serializer")}


def marked(value: Any) -> Any:
    """A value as the table has it: one that could be taken for a reference is put into an object."""
    return {MARK: {"value": value}} if isinstance(value, dict) and next(iter(value), None) == MARK else value


def at_rest(steps: Sequence[StepFacts]) -> list[StepFacts]:
    """The steps, in topological order, each of those that have not ended standing as its upstreams let it."""
    standing: dict[int, StepFacts] = {}
    for step in steps:
        standing[step.number] = _standing(step, [standing[number] for number in step.upstream])
    return list(standing.values())


def _standing(step: StepFacts, upstream: Sequence[StepFacts]) -> StepFacts:
    above = {one.state for one in upstream}
    if step.state in FINAL:
        return step
    if step.plain and above & BAD:
        bad = {one.slug: one.state for one in upstream if one.state in BAD}
        return replace(step, state=_S.TRIGGER_FAILED, message=not_run_after(bad, "all_successful"))
    if above - FINAL:
        return replace(step, state=_S.PENDING)
    if step.plain and _S.SKIPPED in above:
        return replace(step, state=_S.SKIPPED, message=SKIPPED_WITH)
    return replace(step, state=_S.RETRYING if step.state is _S.RETRYING else _S.PAUSED)
