"""The statements on `tokens` behind the console: whose session goes on, and what a user has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select

from app.store.prepared import Prepared
from app.store.tables import tokens, user
from app.store.users import User

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Token(NamedTuple):
    """A valid token, as far as it is known here; `created_at` is in seconds since the epoch."""

    id: int
    prefix: str
    created_at: float


_VALID = tokens.c.revoked_at.is_(None)
#: Runs for every page of the console.
_USER = Prepared(
    select(user.c.id, user.c.name, user.c.role)
    .join_from(tokens, user)
    .where(tokens.c.id == bindparam("token_id"), _VALID)
)
_ID = select(tokens.c.id).where(tokens.c.digest == bindparam("digest"), _VALID)
_OF_USER = (
    select(tokens.c.id, tokens.c.prefix, tokens.c.created_at)
    .where(tokens.c.user_id == bindparam("user_id"), _VALID)
    .order_by(tokens.c.id.desc())
)


def token_id(tx: Connection, digest: str) -> int | None:
    """The id of the token, not revoked, that has this digest."""
    found: int | None = tx.execute(_ID, {"digest": digest}).scalar()
    return found


def user_of_session(tx: Connection, token_id: int) -> User | None:
    """The user whose token, not revoked, has this id."""
    row = _USER.first(tx, {"token_id": token_id})
    return User(*row) if row else None


def list_tokens(tx: Connection, user_id: int) -> list[Token]:
    """The valid tokens of a user, the youngest first."""
    rows: Any = tx.execute(_OF_USER, {"user_id": user_id})
    return [Token(*row) for row in rows]
