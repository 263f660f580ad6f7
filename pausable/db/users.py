"""Users and their tokens, of which only the digest and the prefix are stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from pausable import clock
from pausable.db.database import Database
from pausable.db.files import write_atomically
from pausable.db.statements import Prepared
from pausable.db.tables import ended_sessions, tokens, user
from pausable.errors import TokenInvalid, UserExists, UserNameInvalid

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy import Connection

    from pausable.config import Settings

_RANDOM_BYTES: Final = 32
_PREFIX_LENGTH: Final = 8
#: One word in an HTTP header: printable ASCII without the space.
_GIVEN: Final = re.compile(r"[!-~]{16,}")


def new_token() -> str:
    """Return a random token: `pa_` and 43 characters that need no quoting in a URL or a shell."""
    return f"pa_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def checked_token(token: str) -> str:
    """Return the token that a person gave if it is usable.

    Raises:
        TokenInvalid: It is shorter than 16 characters or not printable ASCII without spaces.
    """
    if not _GIVEN.fullmatch(token):
        raise TokenInvalid
    return token


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal, the only form in which it is stored.

    A token is too random to be guessed from its digest, so the digest needs neither a salt nor a slow hash.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def prefix_of(token: str) -> str:
    """Return the first characters of a token, at most a quarter, by which people recognise it."""
    return token[: min(_PREFIX_LENGTH, len(token) // 4)]


Role = Literal["user", "admin"]

_NAME_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class User:
    """A user of the service: a person or a program."""

    id: int
    name: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Return whether the user may see and control everybody's operations."""
        return self.role == "admin"


_USERS: Final = select(user.c.id, user.c.name, user.c.role).order_by(user.c.id)
_BY_NAME: Final = _USERS.where(user.c.name == bindparam("name"))
#: Runs for every HTTP request: compiled once, answered from the unique index on the digest.
_BY_TOKEN: Final = Prepared(
    select(user.c.id, user.c.name, user.c.role, tokens.c.digest)
    .join_from(tokens, user)
    .where(tokens.c.digest == bindparam("digest"), tokens.c.revoked_at.is_(None))
)
_TOKEN_KNOWN: Final = select(exists().where(tokens.c.digest == bindparam("digest")))


def add_user(tx: Connection, name: str, role: Role, now: float) -> User:
    """Add a user without a token; `now` is in epoch seconds.

    Raises:
        UserNameInvalid: The name is not 1 to 64 printable characters without surrounding spaces.
        UserExists: There is a user of that name.
    """
    if not _is_name(name):
        raise UserNameInvalid(name)
    adding = insert(user).values(name=name, role=role, created_at=now).returning(user.c.id)
    try:
        with tx.begin_nested():  # on PostgreSQL a refused insert would abort the caller's whole transaction
            return User(tx.execute(adding).scalar_one(), name, role)
    except IntegrityError:
        raise UserExists(name) from None


def user_named(tx: Connection, name: str) -> User | None:
    """Return the user of exactly that name."""
    row = tx.execute(_BY_NAME, {"name": name}).one_or_none()
    return User(*row) if row else None


def user_of_token(tx: Connection, digest: str) -> User | None:
    """Return the user whose unrevoked token has this digest.

    The index's search time reveals how far digests agree, but nobody can choose the beginning of a SHA-256; the result
    is compared again in constant time.
    """
    row = _BY_TOKEN.first(tx, {"digest": digest})
    return User(*row[:-1]) if row and compare_digest(row[-1], digest) else None


def oldest_user(tx: Connection) -> User | None:
    """Return the first user; None in a new database."""
    row = tx.execute(_USERS.limit(1)).one_or_none()
    return User(*row) if row else None


def list_users(tx: Connection) -> list[User]:
    """Return all users, oldest first."""
    return [User(*row) for row in tx.execute(_USERS)]


def names_of(tx: Connection, ids: Collection[int]) -> dict[int, str]:
    """Return the names of these users by id."""
    return {id_: name for id_, name in tx.execute(select(user.c.id, user.c.name).where(user.c.id.in_(ids)))}


def add_token(tx: Connection, user_id: int, prefix: str, digest: str, now: float) -> int:
    """Add a token to a user and return its id; existing tokens stay valid."""
    adding = insert(tokens).values(user_id=user_id, prefix=prefix, digest=digest, created_at=now)
    number: int = tx.execute(adding.returning(tokens.c.id)).scalar_one()
    return number


def revoke_token(tx: Connection, user_id: int, prefix: str, now: float) -> bool:
    """Revoke every token of the user with exactly this stored prefix; return False if there is none."""
    mine = (tokens.c.user_id == user_id, tokens.c.prefix == prefix, tokens.c.revoked_at.is_(None))
    return tx.execute(update(tokens).where(*mine).values(revoked_at=now)).rowcount > 0


def is_token_known(tx: Connection, digest: str) -> bool:
    """Return whether any token, also a revoked one, has this digest."""
    return bool(tx.execute(_TOKEN_KNOWN, {"digest": digest}).scalar_one())


def lock_users(tx: Connection) -> None:
    """Block the addition of users by others until this transaction ends; on SQLite a writer is alone anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(text('LOCK TABLE "user" IN SHARE ROW EXCLUSIVE MODE'))


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= _NAME_LENGTH and name.isprintable() and name == name.strip()


class Token(NamedTuple):
    """A valid token without its secret; `created_at` is in epoch seconds."""

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
#: One statement for SQLite and PostgreSQL; SQLAlchemy has a construct for each.
_END = text("INSERT INTO ended_sessions (name, ended_at) VALUES (:name, :now) ON CONFLICT (name) DO NOTHING")
_IS_OWN = select(tokens.c.id).where(_OWN)


def token_id(tx: Connection, digest: str) -> int | None:
    """Return the id of the unrevoked token with this digest."""
    found: int | None = tx.execute(_ID, {"digest": digest}).scalar()
    return found


def user_of_session(tx: Connection, token_id: int, session: str) -> User | None:
    """Return the user of this unrevoked token, unless the session of this name has ended."""
    row = _USER.first(tx, {"token_id": token_id, "session": session})
    return User(*row) if row else None


def end_session(tx: Connection, session: str, now: float, forgotten: float) -> None:
    """End a session, and forget those that ended before the moment `forgotten`."""
    tx.execute(_FORGET, {"before": forgotten})
    tx.execute(_END, {"name": session, "now": now})


def list_tokens(tx: Connection, user_id: int) -> list[Token]:
    """Return the valid tokens of a user, newest first."""
    rows: Any = tx.execute(_OF_USER, {"user_id": user_id})
    return [Token(*row) for row in rows]


def newest_token(tx: Connection, user_id: int) -> int:
    """Return the id of the user's newest token, revoked or not; 0 if there was none."""
    found: int = tx.execute(_NEWEST, {"user_id": user_id}).scalar_one()
    return found


def lock_user(tx: Connection, user_id: int) -> None:
    """Serialise the transactions that call this for the same user."""
    tx.execute(_LOCK, {"user_id": user_id})


def revoke_own_token(tx: Connection, user_id: int, number: int, now: float) -> tuple[bool, bool]:
    """Revoke a token of a user; return whether the user has or had it, and whether it was valid."""
    key = {"key_id": number, "key_user": user_id}
    is_own = tx.execute(_IS_OWN, key).first() is not None
    return is_own, tx.execute(_REVOKE, key | {"now": now}).rowcount > 0


_FIRST_NAME: Final = "admin"


def first_user(settings: Settings) -> Path | None:
    """Make sure that a user exists, and return the file with the token; None if the file was removed.

    A database without users gets the user `admin`, whose token (OPERATIONS_TOKEN, or a new one) is stored in
    DATA_DIR/token, readable by its owner only. Otherwise a new OPERATIONS_TOKEN is added to the tokens of the oldest
    user; a revoked one stays revoked. Calling this again, or from two processes, is safe.

    Raises:
        TokenInvalid: OPERATIONS_TOKEN cannot be a token.
        OSError: The file cannot be written; no user was added.
    """
    given = checked_token(settings.operations_token.get_secret_value()) if settings.operations_token else None
    file = settings.data_dir / "token"
    database = Database(settings.database_url, synchronous=settings.synchronous)
    try:
        with database.write() as tx:
            _let_in(tx, given, file)
    finally:
        database.close()
    return file if file.exists() else None


def _let_in(tx: Connection, given: str | None, file: Path) -> None:
    lock_users(tx)
    oldest = oldest_user(tx)
    if oldest is None:
        token = given or new_token()
        admin = add_user(tx, _FIRST_NAME, "admin", clock.now())
        _give(tx, admin.id, token)
        # Write before the commit: a crash in between leaves a useless file, which the next start replaces. The other
        # order would leave a user whose token nobody knows.
        write_atomically(file, f"{token}\n".encode("ascii"))
    elif given and not is_token_known(tx, digest_of(given)):
        _give(tx, oldest.id, given)


def _give(tx: Connection, user_id: int, token: str) -> None:
    add_token(tx, user_id, prefix_of(token), digest_of(token), clock.now())
