"""The first user of a new database, and the token that lets them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app import clock
from app.domain.tokens import checked_token, digest_of, new_token, prefix_of
from app.store.database import Database
from app.store.files import write_atomically
from app.store.users import add_token, add_user, is_token_known, lock_users, oldest_user

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from app.config import Settings

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
