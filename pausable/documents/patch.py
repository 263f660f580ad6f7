"""Editing an operation at rest: a JSON Merge Patch (RFC 7396) on a view of what remains of it.

The view is `{"result": …, "steps": {slug: {"args": […], "kwargs": {…}, "skip": false}}}`: what the next steps are
handed, and the calls that remain. In workflow.json they are lists, which a merge patch could only replace as a whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pausable.documents.model import carried, handed_inputs, parts_of
from pausable.errors import PatchMalformed, PatchUnfit
from pausable.model.identity import MAPS
from pausable.model.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pausable.documents.model import Signature, StepFacts
    from pausable.model.graph import Inputs

#: The Celery task that a skipped step calls in the place of its own: it hands on what it is handed.
SKIP_TASK: Final = "operations.hand_on"
_CALL: Final = {"args": list, "kwargs": dict, "skip": bool}


@dataclass(frozen=True, slots=True)
class Edited:
    """What a patch changes: calls and results by the steps' numbers, and every place that differs."""

    calls: dict[int, Signature]
    results: dict[int, Any]
    diff: list[dict[str, Any]]


def edited(steps: Sequence[StepFacts], values: Mapping[int, Any], patch: Any) -> Edited:
    """What a merge patch makes of an operation of these steps; `values` are the results that the next are handed.

    Raises:
        PatchMalformed: It is no patch of the view.
        PatchUnfit: It would change what cannot be changed: what has ended, or is not there.
    """
    _demand_shape(patch)
    remaining = {step.slug: step for step in steps if step.state not in FINAL}
    _demand_steps(steps, remaining, patch.get("steps") or {})
    inputs = handed_inputs(steps)
    before = {"result": carried(inputs, values), "steps": {slug: _shown(step) for slug, step in remaining.items()}}
    after: dict[str, Any] = merged(before, patch)
    shown = {slug: after["steps"].get(slug, {**told, "skip": True}) for slug, told in before["steps"].items()}
    calls = {
        step.number: _call(step, shown[slug])
        for slug, step in remaining.items()
        if not _is_same(shown[slug], before["steps"][slug])
    }
    results = _placed(inputs, values, after.get("result")) if "result" in patch else {}
    told = {"result": after.get("result"), "steps": shown}
    return Edited(calls, results, list(_differences(before, told, "")))


def merged(target: Any, patch: Any) -> Any:
    """The target as the merge patch makes it, by RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made


def _demand_shape(patch: Any) -> None:
    if not isinstance(patch, dict) or patch.keys() - {"steps", "result"}:
        raise PatchMalformed("it is an object with `steps`, `result` or both")
    steps = patch.get("steps", {})
    if not isinstance(steps, dict):
        raise PatchMalformed("`steps` is an object of slugs")
    for slug, part in steps.items():
        if part is not None and (not isinstance(part, dict) or part.keys() - _CALL.keys()):
            raise PatchMalformed(f"`steps.{slug[:80]}` is an object with `args`, `kwargs` and `skip`, or null")
        for name, value in (part or {}).items():
            if value is not None and not isinstance(value, _CALL[name]):
                raise PatchMalformed(f"`steps.{slug[:80]}.{name}` is of the wrong type")


def _demand_steps(steps: Sequence[StepFacts], remaining: Mapping[str, StepFacts], asked: Mapping[str, Any]) -> None:
    known = {step.slug for step in steps}
    for slug, part in asked.items():
        if slug not in remaining:
            raise PatchUnfit(f"step {slug[:80]!r} {'has ended' if slug in known else 'is none of its steps'}")
        is_skipped = remaining[slug].signature["task"] == SKIP_TASK
        if is_skipped and part is not None and (part.keys() - {"skip"} or part.get("skip") is False):
            raise PatchUnfit(f"step {slug[:80]!r} is skipped: undo that first")


def _shown(step: StepFacts) -> dict[str, Any]:
    signature = step.signature
    is_skipped = signature["task"] == SKIP_TASK
    return {"args": signature["args"], "kwargs": signature["kwargs"], "skip": is_skipped}


def _call(step: StepFacts, shown: Mapping[str, Any]) -> Signature:
    """The call that was asked for; one that is skipped keeps only what results are put into."""
    if not shown.get("skip"):
        _demand_same_task(step, shown.get("kwargs") or {})
        return {**step.signature, "args": shown.get("args", []), "kwargs": shown.get("kwargs", {})}
    is_bound = isinstance(step.inputs, dict)
    kept = {name: step.signature[name] if is_bound else empty for name, empty in (("args", []), ("kwargs", {}))}
    return {"task": SKIP_TASK, **kept, "options": {}, "subtask_type": None, "immutable": False}


def _demand_same_task(step: StepFacts, kwargs: Mapping[str, Any]) -> None:
    """A map names the task that it calls among its arguments: with another one it would run what nobody started."""
    if step.signature["task"] in MAPS and kwargs.get("task") != step.signature["kwargs"].get("task"):
        raise PatchUnfit(f"step {step.slug[:80]!r} maps a task, and no other can take its place")


def _placed(inputs: Sequence[Inputs], values: Mapping[int, Any], result: Any) -> dict[int, Any]:
    """Which steps' results must change for the next to be handed this."""
    if not inputs:
        raise PatchUnfit("nothing is handed to its next steps: there is no result to change")
    wanted: dict[int, Any] = {}
    whole: Inputs = inputs[0] if len(inputs) == 1 else list(inputs)
    for number, value in _assigned(whole, result):
        if not _is_same(wanted.setdefault(number, value), value):
            raise PatchUnfit("two of its next steps are handed the same result, and would be handed different ones")
    return {number: value for number, value in wanted.items() if not _is_same(value, values.get(number))}


def _assigned(inputs: Inputs, value: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(inputs, int):
        yield inputs, value
    if isinstance(inputs, int) or inputs is value is None:
        return
    parts = [] if inputs is None else parts_of(inputs)
    given = [value] if isinstance(inputs, dict) and len(parts) == 1 else value
    if not isinstance(given, list) or len(given) != len(parts):
        raise PatchUnfit(f"its next steps are handed a list of {len(parts)} results, and the patch gives another")
    for part, one in zip(parts, given, strict=True):
        yield from _assigned(part, one)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON, in which 1 is neither true nor 1.0."""
    texts = {json.dumps(value, sort_keys=True, default=repr) for value in (one, other)}
    return one == other and len(texts) == 1


def _differences(before: Any, after: Any, place: str) -> Iterator[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in (*before, *(name for name in after if name not in before)):
            yield from _differences(before.get(name), after.get(name), f"{place}.{name}".removeprefix("."))
    elif not _is_same(before, after):
        yield {"at": place, "old": before, "new": after}
