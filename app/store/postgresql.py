"""What is particular about connections to PostgreSQL: how long they wait, what they see, whether they still live."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from psycopg import Connection

#: Nobody waits longer than 5 s for a row. A client that stops inside a transaction (SIGSTOP, a machine without power)
#: loses it, and the row with it, a second before those who wait for that row would give up.
_OPTIONS: Final = "-c lock_timeout=5s -c idle_in_transaction_session_timeout=4s"
#: A server that is silent is noticed; libpq by itself waits for minutes (postgresql.org/docs/18/libpq-connect.html).
_PATIENCE: Final = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "tcp_user_timeout": 15_000}


def postgresql_engine(url: URL) -> Engine:
    """An engine whose connections keep to the bounds on waiting; what the URL asks for itself goes before them."""
    asked = {name for name in url.query if name in _PATIENCE}
    given: dict[str, Any] = {name: value for name, value in _PATIENCE.items() if name not in asked}
    options = " ".join((_OPTIONS, *url.normalized_query.get("options", ())))
    return create_engine(url, poolclass=NullPool, connect_args={**given, "options": options})


def begin_reading(connection: Connection) -> None:
    """Let the next transaction see one moment of the database throughout, and change nothing."""
    connection.set_autocommit(False)
    connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    connection.set_read_only(True)


def begin_writing(connection: Connection) -> None:
    """Let the next transaction write: behind a row that it waited for it sees what was committed meanwhile."""
    connection.set_autocommit(False)
    connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
    connection.set_read_only(False)


def begin_glancing(connection: Connection) -> None:
    """Let each statement be a transaction of its own, which spares two ways to the server."""
    connection.set_autocommit(True)


def is_gone(connection: Connection) -> bool:
    """Whether the server has ended a connection on which nothing is awaited: then there is something to be read."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def is_read_only(error: BaseException | None) -> bool:
    """Whether the server takes no writes: a standby, which refuses to begin one, or one that is told to read only."""
    if isinstance(error, psycopg.errors.FeatureNotSupported):  # of "cannot set transaction read-write mode"
        return "read-write mode" in str(error)
    return isinstance(error, psycopg.errors.ReadOnlySqlTransaction)
