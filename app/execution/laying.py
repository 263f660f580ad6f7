"""Operations as documents tell of them, made rows of the table again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from app.domain.document_reading import at_rest
from app.domain.family import started_elsewhere
from app.domain.graph import full_signature
from app.domain.states import DONE, FINAL, GOOD, StepState
from app.errors import ResultFault, ResultsUnreachable
from app.execution.values import compact
from app.results.base import inside
from app.results.references import reference_in
from app.results.stores import store_at
from app.store.events import append_event
from app.store.growing import lay_growths
from app.store.laying import insert_edges, lay_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from app.domain.document import Head, Origin, StepFacts
    from app.execution.engine import Engine
    from app.results.base import Result

_S = StepState
#: Characters of the name of a store that a message shows.
_SHOWN: Final = 200
_BLANK = full_signature({})
#: Columns of a step that a document tells as they are.
_AS_TOLD: Final = (
    "number", "slug", "state", "runs", "retries", "passed", "message", "plain", "due_at", "started_at", "finished_at",
)  # fmt: skip


def fitted(engine: Engine, steps: Iterable[StepFacts]) -> list[StepFacts]:
    """The steps as the code that is registered here has them run, each standing as its upstreams let it."""
    policies = engine.policies
    return at_rest([replace(one, plain=policies.is_plain(one.signature)) for one in steps])


def with_clocks(engine: Engine, head: Head, steps: Iterable[StepFacts], now: float) -> list[StepFacts]:
    """The steps, those that wait for a retry waiting on where they stood when the operation was paused."""

    def moved(step: StepFacts) -> StepFacts:
        waits = head.paused_at is not None and step.due_at is not None and step.due_at > head.paused_at
        if not waits or engine.policies.of_task(step.signature["task"]).count_paused_time:
            return step
        return replace(step, due_at=(step.due_at or 0.0) + max(0.0, now - (head.paused_at or now)))

    return [moved(step) if step.state is _S.RETRYING else step for step in steps]


def demand_reachable(engine: Engine, steps: Iterable[StepFacts], needed: set[int], *, is_ours: bool) -> None:
    """Demand that the results which lie in stores and are needed can be read here.

    A document that no key of this service has signed may name any file and any URL: of the results that it refers to,
    only those are looked at that lie in a store where results are kept here.

    Args:
        engine: The engine, whose settings and workflows name the stores.
        steps: The steps that the document tells of.
        needed: The numbers of those whose results are needed.
        is_ours: Whether a key of this service has signed the document.

    Raises:
        ResultsUnreachable: A result lies in another store, or is needed and cannot be read.
    """
    known = None if is_ours else stores_of(engine)
    faults = [fault for step in steps if (fault := _fault(step, known, is_needed=step.number in needed))]
    if faults:
        raise ResultsUnreachable(faults)


def stores_of(engine: Engine) -> dict[str, Result]:
    """Return the stores in which results are kept here, by their locations."""
    return {store.location: store for store in (engine.results, *engine.policies.stores())}


def _fault(step: StepFacts, known: Mapping[str, Result] | None, *, is_needed: bool) -> str | None:
    """Why the result of a step cannot be read here; None when it can, is in the document, or is not needed."""
    reference = reference_in(compact(step.result))
    if reference is None:
        return None
    if known is not None and reference.store not in known:
        return f"{step.slug} ({reference.store[:_SHOWN]!r} is no store of results here, and the document is not signed)"
    try:
        store = store_at(reference.store)
        inside(reference.path)
        if not is_needed or store.exists(reference.path):
            return None
        return f"{step.slug} (nothing lies at {store.place(reference.path)})"
    except ResultFault as why:
        return f"{step.slug} ({why})"
    except Exception as why:  # a store may raise anything
        return f"{step.slug} ({type(why).__name__}: {why})"


def columns_of(head: Head, steps: Sequence[StepFacts]) -> dict[str, Any]:
    """What a document of these steps tells of its operation, as columns of the row, wherever that comes to stand."""
    return {
        "workflow": head.workflow,
        "arguments": compact(head.arguments),
        "outcome": compact(head.outcome),
        "error": compact(head.error) if head.error else None,
        "created_at": head.created_at,
        "started_at": head.started_at,
        "start_at": head.start_at,
        "slice": head.slice,
        "origin": str(head.origin),
        "steps_total": len(steps),
        "steps_left": sum(step.state not in FINAL for step in steps),
        "steps_done": sum(step.state in DONE for step in steps),
    }


def lay(tx: Connection, operation_id: int, steps: Sequence[StepFacts], origin: Origin) -> None:
    """Put the steps of an operation that was started there into the table, with the edges between them."""
    states = {step.number: step.state for step in steps}
    started = (replace(step, signature=started_elsewhere(step.signature, str(origin))) for step in steps)
    lay_steps(tx, [_row(operation_id, step, states) for step in started])
    insert_edges(tx, operation_id, ((up, step.number) for step in steps for up in step.upstream))
    lay_growths(tx, operation_id, {step.number: step.growth for step in steps if step.growth})


def tell_of_pauses(tx: Connection, operation_id: int, steps: Iterable[StepFacts], now: float) -> None:
    """Write into the history which steps asked for a pause elsewhere: their triggers ask whether they have."""
    for step in steps:
        if step.state is _S.PAUSED and step.runs > 0:
            why = step.message
            append_event(
                tx, operation_id, at=now, who="document", step=step.slug, old=_S.RUNNING, new=_S.PAUSED, why=why
            )


def _said(signature: Mapping[str, Any]) -> dict[str, Any]:
    """The signature without the keys that hold what they hold where nothing is said; its task stands first."""
    return {
        "task": signature["task"],
        **{key: value for key, value in signature.items() if key not in _BLANK or _BLANK[key] != value},
    }


def _row(operation_id: int, step: StepFacts, states: dict[int, StepState]) -> dict[str, Any]:
    above = [states[number] for number in step.upstream]
    return {
        **{name: getattr(step, name) for name in _AS_TOLD},
        **dict.fromkeys(("claim", "losses", "publishes"), 0),
        **_point_columns(step),
        **_cursor_columns(step),
        "operation_id": operation_id,
        "waiting": 0 if step.state in FINAL else sum(state not in FINAL for state in above),
        "spoiled": sum(state in FINAL - GOOD for state in above),
        "signature": compact(_said(step.signature)),
        "inputs": _json(step.inputs),
        "result": _json(step.result),
        "error": _json(step.error),
        "reference": step.decides,
        "parked": False,
    }


def _point_columns(step: StepFacts) -> dict[str, Any]:
    point = step.point
    if point is None:
        return dict.fromkeys(("point", "clause", "callback"))
    return {"point": point.number, "clause": _json(point.clause), "callback": _json(point.callback)}


def _cursor_columns(step: StepFacts) -> dict[str, Any]:
    if step.cursor is None:
        return dict.fromkeys(("cursor", "done", "total"))
    return {"cursor": compact(step.cursor.place), "done": step.cursor.done, "total": step.cursor.total}


def _json(value: Any) -> str | None:
    return None if value is None else compact(value)
