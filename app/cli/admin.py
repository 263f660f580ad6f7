"""The commands for those who run the service: users, workers, database, backup, notifications and prune."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from flask import current_app

from pausable import clock
from pausable.db.backup import DATABASE, back_up, size_of
from pausable.db.backup import restore as put_back
from pausable.db.claims import held_claims
from pausable.db.migrations import is_current
from pausable.db.migrations import upgrade as bring_up_to_date
from pausable.db.outbox import list_notifications, revive
from pausable.db.prune import Old
from pausable.db.schema import SCHEMA, schema_text
from pausable.db.users import add_user, list_users, prefix_of, revoke_token, user_named
from pausable.db.workers import list_workers
from pausable.errors import DatabaseBehind, TokenUnknown, UserUnknown
from pausable.model.states import ENDED, Completion
from pausable.service.accounts import give_token
from pausable.service.prune import Pruned, prunable
from pausable.service.prune import prune as take_away

from .input import commands
from .output import Column, CommandGroup, SingleCommand, drawing, filling, hint, moment, say, table
from .show import CompletionType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pausable.config import Settings
    from pausable.db.backup import Contents
    from pausable.db.claims import HeldClaim
    from pausable.db.database import Connection
    from pausable.db.outbox import Outgoing, Standing
    from pausable.db.users import User


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


@click.command("backup", cls=SingleCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--documents", "only_documents", is_flag=True, help="Only the documents, to go with what pg_dump writes.")
def backup(file: Path, only_documents: bool) -> None:
    """Back the database and the documents up into FILE.

    The service may run meanwhile. FILE must be new.
    """
    settings, database = _settings(), commands().engine.database
    with filling(size_of(settings, database, only_documents=only_documents), "bytes") as tell:
        contents = back_up(settings, database, file, only_documents=only_documents, tell=tell)
    say(f"Wrote {file}: {_told(contents)}.")


@click.command("restore", cls=SingleCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--force", is_flag=True, help="Put it in the place of a database that is there.")
def restore(file: Path, force: bool) -> None:
    """Put the database and the documents in FILE, a backup, back.

    They go where the settings say, and no service may run there. What ran when the backup was made runs again.
    """
    with filling(file.stat().st_size, "bytes") as tell:
        contents = put_back(_settings(), file, force=force, tell=tell)
    say(f"Restored {_told(contents)}, as of {moment(contents.made_at)}.")
    hint("`flask users token NAME` gives a token to who has none: tokens are in no backup.")


def _told(contents: Contents) -> str:
    size = contents.files.get(DATABASE, (0, ""))[0]
    parts = [f"the database ({size / 1e6:,.1f} MB)"] if size else []
    return " and ".join([*parts, f"{len(contents.documents):,} documents"])


database = CommandGroup("db", help="Bring the database to the present schema.")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the database to the present schema.

    Where there is no database, it is laid. Doing so again does no harm.
    """
    with drawing("migrations") as tell:
        bring_up_to_date(current_app.extensions["settings"], tell)
    say("The database has the present schema.")


@database.command("current")
def current() -> None:
    """Tell whether it has the present schema.

    The exit status is 1 where it does not.
    """
    if not is_current(commands().engine.database):
        raise DatabaseBehind
    say("The database has the present schema.")


@database.command("snapshot")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 where schema.sql is not what it should be.")
def snapshot(check: bool) -> None:
    """Write schema.sql from the migrations.

    The comments in it stay.
    """
    former = SCHEMA.read_text() if SCHEMA.exists() else ""
    present = schema_text(former)
    if check and present != former:
        raise click.ClickException("schema.sql differs from what the migrations give: `flask db snapshot` writes it.")
    if not check:
        SCHEMA.write_text(present)
        say(f"Wrote {SCHEMA}.")


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
def show_notifications(
    state: str | None, operation_id: int | None, limit: int, after: int | None, is_json: bool
) -> None:
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


_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGE: Final = re.compile(r"([0-9]{1,9})([smhdw])")
#: Folders that are named; of more, only the number is told.
_NAMED: Final = 3


class _Age(click.ParamType[float]):
    """A length of time such as 30d, in seconds."""

    name = "age"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; anything else is a misuse."""
        found = _AGE.fullmatch(value)
        if found is None:
            return self.fail(f"{value!r} is no length of time such as 90s, 45m, 12h, 30d or 8w.", param, ctx)
        return int(found[1]) * float(_SECONDS[found[2]])


@click.command("prune")
@click.option(
    "--older", type=_Age(), metavar="AGE", required=True, help="Ended so long ago, such as 30d (s, m, h, d, w)."
)
@click.option(
    "--exported",
    type=_Age(),
    metavar="AGE",
    default="90d",
    show_default=True,
    help="Of those that were exported, only those last exported so long ago: the export may refer to their results.",
)
@click.option("--completion", "completions", type=CompletionType(), multiple=True, help="Only those that ended so.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be taken away.")
def prune(older: float, exported: float, completions: tuple[Completion, ...], dry_run: bool) -> None:
    """Take away operations that ended long ago.

    With them go their steps, history, logs, documents and large results; and workers that ended as long ago. Nothing of
    it comes back.
    """
    for one in completions:
        if one not in ENDED:
            raise click.UsageError(f"{one} is no end: only COMPLETED, FAILED and CANCELLED operations can be pruned.")
    engine = commands().engine
    now = clock.now()
    old = Old(now - older, frozenset(completions) or ENDED, now - exported)
    found = prunable(engine, old)
    if dry_run:
        say(f"Would take away {_told_of_pruned(found, old)}.")
        return _hint_at_kept(found, old)
    with filling(found.operations.total(), "operations") as tell:
        taken = take_away(engine, old, tell)
    say(f"Took away {_told_of_pruned(taken, old)}.")
    _hint_at_kept(taken, old)
    for folder, why in list(taken.stuck.items())[:_NAMED]:
        hint(f"{folder} could not be removed: {why}.")
    if taken.stuck:
        raise click.ClickException(f"{len(taken.stuck)} folders stayed: the next prune tries again.")
    return None


def _hint_at_kept(pruned: Pruned, old: Old) -> None:
    if pruned.kept:
        reason = f"exported since {moment(old.exported_before)}, or gone on here as another operation"
        hint(f"{_many(pruned.kept, 'operation')} stayed: {reason}, which may refer to their results.")


def _told_of_pruned(pruned: Pruned, old: Old) -> str:
    return f"{', '.join(_parts(pruned))}, all ended before {moment(old.before)}"


def _parts(pruned: Pruned) -> Iterator[str]:
    by_completion = ", ".join(f"{number:,} {one}" for one, number in sorted(pruned.operations.items()))
    yield _many(pruned.operations.total(), "operation") + (f" ({by_completion})" if by_completion else "")
    if pruned.steps:
        yield _many(pruned.steps, "step")
    if pruned.documents:
        yield _many(pruned.documents, "folder") + " of documents"
    yield _many(pruned.workers, "worker")


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


users = CommandGroup("users", help="Add users, and give and take their tokens.")


@users.command("add")
@click.argument("name")
@click.option("--admin", "is_admin", is_flag=True, help="Let them see and steer everybody's operations.")
def add(name: str, is_admin: bool) -> None:
    """Add the user NAME and print their token.

    It is shown only now.
    """
    with commands().engine.database.write() as tx:
        user = add_user(tx, name, "admin" if is_admin else "user", clock.now())
        token, _ = give_token(tx, user)
    hint(f"Added the {user.role} {name}.")
    _hand_over(token)


@users.command("list")
def show_users() -> None:
    """List all users, the oldest first."""
    with commands().engine.database.glance() as tx:
        found = list_users(tx)
    table((Column("id", right=True), Column("name"), Column("role")), [(one.id, one.name, one.role) for one in found])


@users.command("token")
@click.argument("name")
def token(name: str) -> None:
    """Give the user NAME one more token.

    It is printed, and shown only now. Their others stay valid.
    """
    with commands().engine.database.write() as tx:
        given, _ = give_token(tx, _known(tx, name))
    _hand_over(given)


@users.command("revoke")
@click.argument("name")
@click.argument("prefix")
def revoke(name: str, prefix: str) -> None:
    """Make a token of the user NAME worthless.

    It is the one that begins with PREFIX, as it was told when the token was given.
    """
    with commands().engine.database.write() as tx:
        if not revoke_token(tx, _known(tx, name).id, prefix, clock.now()):
            raise TokenUnknown(name)
    say(f"Revoked the token of {name}.")


def _known(tx: Connection, name: str) -> User:
    found = user_named(tx, name)
    if found is None:
        raise UserUnknown(name)
    return found


def _hand_over(token: str) -> None:
    hint(f"Keep the token, it is not shown again; by {prefix_of(token)} it is told from others:")
    say(token)


workers = CommandGroup("workers", help="See the workers, and what they run.")

#: Steps of a worker that are named; of more, only the number is told.
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
def show_workers(limit: int) -> None:
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
