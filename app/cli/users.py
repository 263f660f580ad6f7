"""`flask users`: who may call the service. A token is printed once, on standard output; only its digest is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app import clock
from app.access import give_token
from app.cli.people import commands
from app.cli.printing import Column, hint, say, table
from app.cli.refusals import CommandGroup
from app.domain.tokens import prefix_of
from app.errors import TokenUnknown, UserUnknown
from app.store.users import add_user, list_users, revoke_token, user_named

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.store.users import User

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
def list_() -> None:
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
