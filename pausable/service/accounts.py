"""What a user may do with their own tokens: see them, be given another, and take one away."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db.users import (
    add_token,
    digest_of,
    list_tokens,
    lock_user,
    new_token,
    newest_token,
    prefix_of,
    revoke_own_token,
)
from pausable.errors import TokensChanged, TooManyTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pausable.db.database import Connection, Database
    from pausable.db.users import Token, User

#: Valid tokens that a user may have and still give themselves one more.
MOST: Final = 50
_log = logging.getLogger(__name__)


def give_token(tx: Connection, user: User) -> tuple[str, int]:
    """Give a user one more token, known to nobody but who is handed it here; with the number it is kept under."""
    token = new_token()
    return token, add_token(tx, user.id, prefix_of(token), digest_of(token), clock.now())


def own_tokens(database: Database, user: User) -> tuple[Sequence[Token], int]:
    """The valid tokens of a user, the youngest first, and the number of the last they were ever given."""
    with database.read() as tx:
        return list_tokens(tx, user.id), newest_token(tx, user.id)


def give_another(database: Database, user: User, newest: int) -> str:
    """Give a user one more token, if the last they were given is still the one of this number.

    So whoever asks twice with the same number, by a second click or by sending a page again, is given one.
    Raises TokensChanged, TooManyTokens.
    """
    with database.write() as tx:
        lock_user(tx, user.id)
        if newest_token(tx, user.id) != newest:
            raise TokensChanged
        if len(list_tokens(tx, user.id)) >= MOST:
            raise TooManyTokens(MOST)
        token, number = give_token(tx, user)
    # A warning, because nothing milder is shown by a web server whose log is plain.
    _log.warning("user %s (%d) gave themselves the token %d", user.name, user.id, number)
    return token


def take_away(database: Database, user: User, number: int) -> bool:
    """Make a user's own token worthless, if it is not yet; False where they never had one of that number."""
    with database.write() as tx:
        is_own, is_new = revoke_own_token(tx, user.id, number, clock.now())
    if is_new:
        _log.warning("user %s (%d) revoked their token %d", user.name, user.id, number)
    return is_own
