"""The statements that tell what an operation has yet to call, step by step alike taken together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, func, insert, literal, select

from app.domain.document import MARK
from app.domain.states import FINAL
from app.store.step_queries import calls_where, slugs_of
from app.store.tables import edges, paused_code, steps

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: References to results that are looked at.
_MOST: Final = 1000
#: What a reference to a result begins with: see `app.results.references`.
_REFERENCE: Final = f'{{"{MARK}":{{"store":'


@dataclass(frozen=True, slots=True)
class Remaining:
    """Steps that have not ended and call a task in the same way: the slug of the first, and how many there are.

    `positional` and `keywords` are what their task is called with, a value that is handed on included.
    """

    number: int
    slug: str
    steps: int
    task: str
    positional: int
    keywords: dict[str, Any]
    options: dict[str, Any]

    @property
    def call(self) -> dict[str, Any]:
        """What decides where its message goes."""
        return {"task": self.task, "options": self.options}


_OPERATION = steps.c.operation_id == bindparam("operation_id")
_REMAINS = steps.c.state.not_in(sorted(FINAL))
_POINTS = select(steps.c.clause, steps.c.callback).where(_OPERATION, _REMAINS, steps.c.point.is_not(None)).distinct()
_BELOW = steps.alias("below")
_NEEDED = (
    select(steps.c.slug, steps.c.result)
    .select_from(steps)
    .join(edges, and_(edges.c.operation_id == steps.c.operation_id, edges.c.upstream == steps.c.number))
    .join(_BELOW, and_(_BELOW.c.operation_id == edges.c.operation_id, _BELOW.c.number == edges.c.downstream))
    .where(
        _OPERATION,
        steps.c.state.in_(sorted(FINAL)),
        _BELOW.c.state.not_in(sorted(FINAL)),
        func.substr(steps.c.result, 1, len(_REFERENCE)) == literal(_REFERENCE),
    )
    .distinct()
    .limit(_MOST)
)
_CODE = select(paused_code.c.code).where(paused_code.c.operation_id == bindparam("operation_id"))
_FORGET = delete(paused_code).where(paused_code.c.operation_id == bindparam("operation_id"))
_KEEP = insert(paused_code)


def remaining_calls(tx: Connection, operation_id: int) -> list[Remaining]:
    """Return what an operation has yet to call; 10,000 steps that are called alike are one of these."""
    alike: dict[Any, list[int]] = {}
    calls: dict[Any, dict[str, Any]] = {}
    for number, call, inputs in calls_where(tx, operation_id, _REMAINS):
        positional = len(call.get("args", ())) + _is_handed(call, inputs)
        key = call["task"], positional, *(_text(call.get(name)) for name in ("kwargs", "options"))
        calls.setdefault(key, call | {"positional": positional})
        alike.setdefault(key, []).append(number)
    slugs = slugs_of(tx, operation_id, [numbers[0] for numbers in alike.values()])
    return [_remaining(slugs[numbers[0]], numbers, calls[key]) for key, numbers in alike.items()]


def signatures_behind(tx: Connection, operation_id: int) -> list[dict[str, Any]]:
    """The authors' own clauses and callbacks of the pause points before what has not ended."""
    rows = tx.execute(_POINTS, {"operation_id": operation_id})
    return [json.loads(text) for row in rows for text in row if text]


def needed_results(tx: Connection, operation_id: int) -> list[tuple[str, str]]:
    """The slugs and references of results that lie in stores, and that what has not ended waits for."""
    return [(slug, result) for slug, result in tx.execute(_NEEDED, {"operation_id": operation_id})]


def code_when_paused(tx: Connection, operation_id: int) -> dict[str, Any] | None:
    """The fingerprints that were kept when the operation was paused last; None of one paused before they were."""
    text: str | None = tx.execute(_CODE, {"operation_id": operation_id}).scalar()
    return None if text is None else dict(json.loads(text))


def keep_code(tx: Connection, operation_id: int, code: dict[str, Any] | None) -> None:
    """Keep the fingerprints of the code that an operation is paused with, in the place of those of an earlier pause."""
    tx.execute(_FORGET, {"operation_id": operation_id})
    if code is not None:
        tx.execute(_KEEP, {"operation_id": operation_id, "code": json.dumps(code, separators=(",", ":"))})


def _is_handed(call: dict[str, Any], inputs: Any) -> bool:
    """Whether a step is handed a first argument: what others return, unless those only fill places in its call."""
    if inputs is None or call.get("immutable") or call.get("complete"):
        return False
    return not isinstance(inputs, dict) or inputs["first"] is not None


def _remaining(slug: str, numbers: list[int], call: dict[str, Any]) -> Remaining:
    return Remaining(
        number=numbers[0],
        slug=slug,
        steps=len(numbers),
        task=call["task"],
        positional=call["positional"],
        keywords=call.get("kwargs") or {},
        options=call.get("options") or {},
    )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if value else ""
