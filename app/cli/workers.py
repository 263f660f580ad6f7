"""`flask workers`: who runs the steps, and who did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from app import clock
from app.cli.people import commands
from app.cli.printing import Column, moment, table
from app.cli.refusals import CommandGroup
from app.store.claims import held_claims
from app.store.workers import list_workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.store.claims import HeldClaim

workers = CommandGroup("workers", help="See the workers, and what they run.")

#: Steps of a worker that are named; of more, only the number is told.
_NAMED: Final = 3
_WORKERS: Final = (
    Column("id", right=True),
    Column("host", keep=5, cut=True),
    Column("pid", keep=4, right=True),
    Column("since", keep=2),
    Column("last seen", keep=3),
    Column("state"),
    Column("queues", keep=1, cut=True),
    Column("runs", keep=6, cut=True),
)


@workers.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
def list_(limit: int) -> None:
    """List the workers, the youngest first.

    One is alive, silent (not seen for a lease), lost (silent for so long, or gone, that others took its steps over) or
    stopped. Its queues are those that it takes messages from; what it runs is told as
    ID/STEP.
    """
    engine = commands().engine
    with engine.database.read() as tx:
        found, claims = list_workers(tx, limit), held_claims(tx)
    now = clock.now()
    rows = [
        (one.id, one.host, one.pid, moment(one.started_at), moment(one.seen_at),
         one.state(now, engine.lease), ",".join(one.queues or ()),
         _runs(claim for claim in claims if claim.worker_id == one.id))
        for one in found
    ]  # fmt: skip
    table(_WORKERS, rows)


def _runs(claims: Iterable[HeldClaim]) -> str:
    steps = [f"{claim.operation_id}/{claim.slug}" for claim in claims]
    others = len(steps) - _NAMED
    return ", ".join(steps[:_NAMED]) + (f" and {others} more" if others > 0 else "")
