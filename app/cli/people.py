"""In whose name, and on which operation, a command acts: whoever can read the database is trusted to say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from flask import current_app

from app.errors import AdminMissing, UserUnknown
from app.store.users import list_users, user_named

if TYPE_CHECKING:
    from app.commands import Commands
    from app.store.users import User

#: Gives a command the argument `operation_id`; keys of both databases end at 2**63 - 1.
operation_argument = click.argument("operation_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
#: Gives a command the argument `user_name`.
user_option = click.option("--user", "user_name", metavar="NAME", help="In whose name; else the oldest admin's.")


def commands() -> Commands:
    """The commands of this application."""
    found: Commands = current_app.extensions["commands"]
    return found


def acting(name: str | None) -> User:
    """The user of that name, by default the oldest admin. Raises UserUnknown, AdminMissing."""
    with commands().engine.database.glance() as tx:
        if name is not None:
            found = user_named(tx, name)
            if found is None:
                raise UserUnknown(name)
            return found
        for user in list_users(tx):
            if user.is_admin:
                return user
    raise AdminMissing


def names() -> dict[int, str]:
    """All users' names by their ids."""
    with commands().engine.database.glance() as tx:
        return {user.id: user.name for user in list_users(tx)}
