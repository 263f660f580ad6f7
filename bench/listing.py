"""The first page of the list of operations, with very many in the table and with few."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, insert, join, literal, select, true

from bench.figure import Figure, at_most, compared, percentile
from bench.http import Caller
from pausable.db.tables import operations
from pausable.db.users import add_user
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Insert

    from bench.bed import Bed
    from bench.service import Service

# How it is asked for, with which filters, and whether it is a figure that must be reached: of the last there is none,
# so that it shows what looking through all rows of one kind costs.
_BY_COMMAND: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("by command", {}, True),
    ("by command, PAUSED ones", {"completions": [Completion.PAUSED]}, True),
    ("by command, of one workflow", {"workflow": "bench-fan"}, True),
    ("by command, two filters that nothing fits", {"completions": [Completion.PAUSED], "workflow": "bench-fan"}, False),
)


def listing(bed: Bed) -> Iterator[Figure]:
    """The first page: asked of both tables in turn, request by request."""
    scale = bed.scale
    with bed.service() as large, bed.service() as small:
        fill(large, scale.many_rows)
        fill(small, scale.few_rows)
        for how, filters, is_wanted in _BY_COMMAND:
            found = _figure(bed, how, _commands(large, filters), _commands(small, filters))
            yield found if is_wanted else replace(found, target=None)
        large.start_web()
        small.start_web()
        yield _figure(bed, "over HTTP", _pages(large), _pages(small))


def fill(service: Service, rows: int) -> None:
    """Put so many operations into the table: most have ended, the newest are under way."""
    sample = service.start_many(1)[0]
    with service.database.write() as tx:
        other = add_user(tx, "other", "user", time.time())
        tx.execute(_copies(sample, rows, other.id))


def _copies(sample: int, rows: int, other: int) -> Insert:
    """So many copies of one operation: a hundredth are another user's, most have ended, the newest are under way."""
    one = select(literal(1).label("n")).cte("one", recursive=True)
    one = one.union_all(select(one.c.n + 1).where(one.c.n < rows))
    n = one.c.n
    ended = case((n % 50 == 0, Completion.FAILED), (n % 10 == 5, Completion.PAUSED), else_=Completion.COMPLETED)
    columns = {column.name: column for column in operations.c if column.name != "id"} | {
        "requester_id": case((n % 100 == 50, other), else_=operations.c.requester_id),
        "completion": case((n > rows - 20, Completion.IN_PROGRESS), else_=ended),
        "workflow": case((n % 10 == 0, "bench-fan"), else_=operations.c.workflow),
        "created_at": operations.c.created_at + n,
    }
    copies = select(*columns.values()).select_from(join(operations, one, true())).where(operations.c.id == sample)
    return insert(operations).from_select(list(columns), copies)


def _commands(service: Service, filters: dict[str, Any]) -> Callable[[], object]:
    user = service.user
    return lambda: service.commands.list(user, **filters)


def _pages(service: Service) -> Callable[[], object]:
    caller = Caller(service.settings.port)
    return lambda: caller.call("GET", "/operations")


def _figure(bed: Bed, how: str, large: Callable[[], object], small: Callable[[], object]) -> Figure:
    scale = bed.scale
    rounds = [_round(scale.pages, large, small) for _ in range(scale.rounds)]
    ours, theirs = [one for one, _ in rounds], [other for _, other in rounds]
    what = f"first page with {scale.many_rows:,} operations in the table, 95th percentile, {how}"
    return compared(what, "ms", (ours, theirs), f"with {scale.few_rows:,}", at_most(1.5))


def _round(pages: int, *contenders: Callable[[], object]) -> tuple[float, ...]:
    taken: list[list[float]] = [[] for _ in contenders]
    for _ in range(pages):
        for times, contender in zip(taken, contenders, strict=True):
            begun = time.perf_counter()
            contender()
            times.append(1000 * (time.perf_counter() - begun))
    return tuple(percentile(times, 0.95) for times in taken)
