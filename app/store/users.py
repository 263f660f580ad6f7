"""Users and their tokens. A token in clear never comes here: only its digest and its prefix do."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import bindparam, exists, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app.errors import UserExists, UserNameInvalid
from app.store.prepared import Prepared
from app.store.tables import tokens, user

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

Role = Literal["user", "admin"]

_NAME_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may call the service: a person or a program."""

    id: int
    name: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether the operations of everybody are this user's to see and to steer."""
        return self.role == "admin"


_USERS: Final = select(user.c.id, user.c.name, user.c.role).order_by(user.c.id)
_BY_NAME: Final = _USERS.where(user.c.name == bindparam("name"))
#: Runs for every HTTP request: built once, and answered from the unique index on the digest.
_BY_TOKEN: Final = Prepared(
    select(user.c.id, user.c.name, user.c.role, tokens.c.digest)
    .join_from(tokens, user)
    .where(tokens.c.digest == bindparam("digest"), tokens.c.revoked_at.is_(None))
)
_TOKEN_KNOWN: Final = select(exists().where(tokens.c.digest == bindparam("digest")))


def add_user(tx: Connection, name: str, role: Role, now: float) -> User:
    """Add a user who has no token yet; `now` is in seconds since the epoch.

    Raises:
        UserNameInvalid: The name is not 1 to 64 printable characters without spaces around them.
        UserExists: There is a user of that name.
    """
    if not _is_name(name):
        raise UserNameInvalid(name)
    adding = insert(user).values(name=name, role=role, created_at=now).returning(user.c.id)
    try:
        with tx.begin_nested():  # PostgreSQL would give up the caller's whole transaction for a refused insert
            return User(tx.execute(adding).scalar_one(), name, role)
    except IntegrityError:
        raise UserExists(name) from None


def user_named(tx: Connection, name: str) -> User | None:
    """The user of that name, to the letter."""
    row = tx.execute(_BY_NAME, {"name": name}).one_or_none()
    return User(*row) if row else None


def user_of_token(tx: Connection, digest: str) -> User | None:
    """The user whose token, not revoked, has this digest.

    How long the index searches tells how far digests agree, and of a SHA-256 nobody can choose the beginning; what it
    has found is compared once more, in a time that tells nothing.
    """
    row = _BY_TOKEN.first(tx, {"digest": digest})
    return User(*row[:-1]) if row and compare_digest(row[-1], digest) else None


def oldest_user(tx: Connection) -> User | None:
    """The user who was there first; nobody in a new database."""
    row = tx.execute(_USERS.limit(1)).one_or_none()
    return User(*row) if row else None


def list_users(tx: Connection) -> list[User]:
    """All users, the oldest first."""
    return [User(*row) for row in tx.execute(_USERS)]


def names_of(tx: Connection, ids: Collection[int]) -> dict[int, str]:
    """The names of these users by their ids."""
    return {id_: name for id_, name in tx.execute(select(user.c.id, user.c.name).where(user.c.id.in_(ids)))}


def add_token(tx: Connection, user_id: int, prefix: str, digest: str, now: float) -> int:
    """Give a user one more token, and return its id; those they have stay valid."""
    adding = insert(tokens).values(user_id=user_id, prefix=prefix, digest=digest, created_at=now)
    number: int = tx.execute(adding.returning(tokens.c.id)).scalar_one()
    return number


def revoke_token(tx: Connection, user_id: int, prefix: str, now: float) -> bool:
    """Make every token of the user that begins with exactly this kept prefix worthless; false if there is none."""
    mine = (tokens.c.user_id == user_id, tokens.c.prefix == prefix, tokens.c.revoked_at.is_(None))
    return tx.execute(update(tokens).where(*mine).values(revoked_at=now)).rowcount > 0


def is_token_known(tx: Connection, digest: str) -> bool:
    """Whether anybody has or had a token of this digest: a revoked one is known too."""
    return bool(tx.execute(_TOKEN_KNOWN, {"digest": digest}).scalar_one())


def lock_users(tx: Connection) -> None:
    """Keep other transactions from adding users until this one ends; a writer of SQLite is alone anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(text('LOCK TABLE "user" IN SHARE ROW EXCLUSIVE MODE'))


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= _NAME_LENGTH and name.isprintable() and name == name.strip()
