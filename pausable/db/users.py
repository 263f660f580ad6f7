"""Users and their tokens: only the digest and the prefix of a token are stored."""

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
#: What an HTTP header can carry in one word: printable ASCII without the space.
_GIVEN: Final = re.compile(r"[!-~]{16,}")


def new_token() -> str:
    """A token that nobody can guess: `pa_` and 43 characters that need no quoting in a URL or a shell."""
    return f"pa_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def checked_token(token: str) -> str:
    """The token as it was given by a person, once it is known to be usable.

    Raises:
        TokenInvalid: It is shorter than 16 characters or not printable ASCII without spaces.
    """
    if not _GIVEN.fullmatch(token):
        raise TokenInvalid
    return token


def digest_of(token: str) -> str:
    """The SHA-256 of a token in hexadecimal: the only form in which it is kept.

    A token is too random to be guessed from its digest, so the digest needs neither salt nor a slow hash.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def prefix_of(token: str) -> str:
    """The first characters of a token, at most a quarter of it: by these people tell one token from another."""
    return token[: min(_PREFIX_LENGTH, len(token) // 4)]


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


_FIRST_NAME: Final = "admin"


def first_user(settings: Settings) -> Path | None:
    """Make sure that somebody can get in, and tell which file keeps their token: none if it was taken away.

    A database without users gets the user `admin`, whose token (OPERATIONS_TOKEN, or else a new one) is kept in
    DATA_DIR/token, readable by its owner alone. Otherwise an OPERATIONS_TOKEN never seen before becomes one more token
    of the oldest user; one that was revoked stays so. To call it again, or from two processes at once, does no harm.

    Raises:
        TokenInvalid: OPERATIONS_TOKEN cannot be a token.
        OSError: The file cannot be written; then no user was added.
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
        # Before the commit: a crash in between leaves a useless file, which the next start replaces. The other way
        # round it would leave a user whose token nobody knows.
        write_atomically(file, f"{token}\n".encode("ascii"))
    elif given and not is_token_known(tx, digest_of(given)):
        _give(tx, oldest.id, given)


def _give(tx: Connection, user_id: int, token: str) -> None:
    add_token(tx, user_id, prefix_of(token), digest_of(token), clock.now())
