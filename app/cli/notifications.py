"""`flask notifications`: what people were told, are yet to be told, and could not be told."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from app import clock
from app.cli.people import commands
from app.cli.printing import Column, hint, moment, say, table
from app.cli.refusals import CommandGroup
from app.store.notifications import list_notifications, revive

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.store.notifications import Outgoing, Standing

notifications = CommandGroup("notifications", help="See what people are told, and have it tried again.")

_STATES: Final[dict[str, Standing]] = {"waiting": "Waiting", "sent": "Sent", "failed": "Failed"}
_NOTIFICATIONS: Final = (
    Column("id", right=True),
    Column("operation", right=True),
    Column("step", keep=6, cut=True),
    Column("notification", keep=5, cut=True),
    Column("state"),
    Column("tries", keep=4, right=True),
    Column("made", keep=2),
    Column("next try", keep=3),
    Column("error", keep=7, cut=True),
)
_of_operation: Callable[..., Callable[..., object]] = click.option(
    "--operation", "operation_id", metavar="ID", type=click.IntRange(1, 2**63 - 1), help="Only those of this operation."
)


@notifications.command("list")
@click.option("--state", type=click.Choice([*_STATES]), help="Only those that stand so.")
@_of_operation
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@click.option("--after", metavar="ID", type=click.IntRange(1, 2**63 - 1), help="Only those that follow it in the list.")
@click.option("--json", "is_json", is_flag=True, help="As JSON: one object a line.")
def list_(state: str | None, operation_id: int | None, limit: int, after: int | None, is_json: bool) -> None:
    """List notifications, the newest first.

    One is Waiting to be sent, or sent again; Sent; or Failed: it was tried too often. Where each goes is not kept here:
    it stands in the code, by the name and the number of the notification.
    """
    with commands().engine.database.read() as tx:
        asked = _STATES[state] if state else None
        found = list_notifications(tx, state=asked, operation_id=operation_id, before_id=after, limit=limit + 1)
    shown = found[:limit]
    if is_json:
        for row in shown:
            say(json.dumps(asdict(row) | {"facts": json.loads(row.facts)}, ensure_ascii=False))
    else:
        table(_NOTIFICATIONS, [_row(row) for row in shown])
    if len(found) > limit:
        hint(f"There are more: --after {shown[-1].id}")


@notifications.command("retry")
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(1, 2**63 - 1))
@_of_operation
def retry(ids: tuple[int, ...], operation_id: int | None) -> None:
    """Have notifications tried again that were given up: these, those of an operation, or all."""
    with commands().engine.database.write() as tx:
        revived = revive(tx, clock.now(), operation_id=operation_id, ids=ids)
    say(f"{revived:,} are tried again." if revived else "Nothing changed: none of them is Failed.")


def _row(row: Outgoing) -> tuple[object, ...]:
    named = f"{row.number} of {row.source}"
    due = moment(row.due_at) if row.state == "Waiting" else None
    return row.id, row.operation_id, row.step, named, row.state, row.attempts, moment(row.created_at), due, row.error
