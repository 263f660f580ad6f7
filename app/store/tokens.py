"""The statements on `tokens` behind the console: whose session goes on, and what a user has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, text, update

from app.store.prepared import Prepared
from app.store.tables import ended_sessions, tokens, user
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
    .where(
        tokens.c.id == bindparam("token_id"),
        _VALID,
        ~select(ended_sessions.c.name).where(ended_sessions.c.name == bindparam("session")).exists(),
    )
)
_ID = select(tokens.c.id).where(tokens.c.digest == bindparam("digest"), _VALID)
_OF_USER = (
    select(tokens.c.id, tokens.c.prefix, tokens.c.created_at)
    .where(tokens.c.user_id == bindparam("user_id"), _VALID)
    .order_by(tokens.c.id.desc())
)


_NEWEST = select(func.coalesce(func.max(tokens.c.id), 0)).where(tokens.c.user_id == bindparam("user_id"))
_LOCK = select(user.c.id).where(user.c.id == bindparam("user_id")).with_for_update(key_share=True)
_OWN = (tokens.c.id == bindparam("key_id")) & (tokens.c.user_id == bindparam("key_user"))
_REVOKE = update(tokens).where(_OWN, _VALID).values(revoked_at=bindparam("now"))
_FORGET = delete(ended_sessions).where(ended_sessions.c.ended_at < bindparam("before"))
#: SQLite and PostgreSQL both know it; SQLAlchemy has a word of its own for each of them.
_END = text("INSERT INTO ended_sessions (name, ended_at) VALUES (:name, :now) ON CONFLICT (name) DO NOTHING")
_IS_OWN = select(tokens.c.id).where(_OWN)


def token_id(tx: Connection, digest: str) -> int | None:
    """The id of the token, not revoked, that has this digest."""
    found: int | None = tx.execute(_ID, {"digest": digest}).scalar()
    return found


def user_of_session(tx: Connection, token_id: int, session: str) -> User | None:
    """The user whose token, not revoked, has this id, if the session of this name was not ended."""
    row = _USER.first(tx, {"token_id": token_id, "session": session})
    return User(*row) if row else None


def end_session(tx: Connection, session: str, now: float, forgotten: float) -> None:
    """Let a session be good for nothing from now on; what ended before the moment `forgotten` is forgotten."""
    tx.execute(_FORGET, {"before": forgotten})
    tx.execute(_END, {"name": session, "now": now})


def list_tokens(tx: Connection, user_id: int) -> list[Token]:
    """The valid tokens of a user, the youngest first."""
    rows: Any = tx.execute(_OF_USER, {"user_id": user_id})
    return [Token(*row) for row in rows]


def newest_token(tx: Connection, user_id: int) -> int:
    """The id of the token that a user was given last, revoked or not; 0 where they never had any."""
    found: int = tx.execute(_NEWEST, {"user_id": user_id}).scalar_one()
    return found


def lock_user(tx: Connection, user_id: int) -> None:
    """Let no other transaction that asks for this user's lock go on before this one ends."""
    tx.execute(_LOCK, {"user_id": user_id})


def revoke_own_token(tx: Connection, user_id: int, number: int, now: float) -> tuple[bool, bool]:
    """Make a user's token worthless; whether there is or was such a token of theirs, and whether it was valid."""
    key = {"key_id": number, "key_user": user_id}
    is_own = tx.execute(_IS_OWN, key).first() is not None
    return is_own, tx.execute(_REVOKE, key | {"now": now}).rowcount > 0
