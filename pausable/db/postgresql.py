"""Connections to PostgreSQL: how they are made, their time limits, and whether they are still alive.

libpq parses the URL, so everything that it supports (several hosts, a socket, `target_session_attrs`) works here and in
the checks at startup. Limits are set by statements instead of startup options, which poolers such as pgbouncer refuse.
"""

from __future__ import annotations

import re
import select
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool

from pausable.db.drivers import HAS_POSTGRESQL, psycopg
from pausable.errors import DriverMissing

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

#: Limits that the server enforces, in seconds. Lock waits end after 5 s. A client that stops inside a transaction
#: (SIGSTOP, power loss) loses it a second before those who wait for its rows give up. A read-only transaction holds no
#: rows and may compute between statements.
_LOCK: Final = "lock_timeout"
_IDLE: Final = "idle_in_transaction_session_timeout"
_STATEMENT: Final = "statement_timeout"
_BOUNDS: Final[Mapping[str, str]] = {_LOCK: "5s", _IDLE: "4s", _STATEMENT: "15s"}
_IDLE_READER: Final = "60s"
#: Seconds beyond the statement limit after which an unresponsive server is given up.
_BEYOND: Final = 2.0
#: libpq itself waits for minutes (postgresql.org/docs/18/libpq-connect.html).
_PATIENCE: Final = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "tcp_user_timeout": 15_000}

_OPTION: Final = re.compile(r"(?:-c\s*|--)(\w+)\s*=\s*(\S+)")
_DURATION: Final = re.compile(r"(\d+)(us|ms|s|min|h|d)?")
_SECONDS: Final[Mapping[str | None, float]] = {
    "us": 1e-6, None: 0.001, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server is unresponsive for too long.

    `silence` is the limit in seconds, if any. `begins` are the statements that begin a read-only transaction and a
    writing one.
    """

    silence: float | None = None
    begins: tuple[str, str] = ("", "")

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server as psycopg does, and close the connection if nothing arrives in time."""
        if self.silence is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(_with_silence_limit(gen, self.silence), interval, timeout)
        except _Silent:
            self.close()
            raise


class _Silent(psycopg.OperationalError):
    """The server has been unresponsive for too long."""


def _with_silence_limit(generator: Generator[Any, Any, Any], silence: float) -> Generator[Any, Any, Any]:
    """Run psycopg's generator, and raise if nothing arrives from the server for so many seconds."""
    try:
        wanted = next(generator)
        until = time.monotonic() + silence
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                until = now + silence
            elif now >= until:
                generator.close()
                raise _Silent(f"the server has not answered for {silence:g} s")
            wanted = generator.send(ready)
    except StopIteration as ended:
        return ended.value


def postgresql_engine(url: str) -> Engine:
    """Return an engine whose connections enforce the time limits; parameters of the URL take precedence.

    Raise psycopg.Error if libpq cannot parse the URL, DriverMissing if psycopg is not installed.
    """
    if not HAS_POSTGRESQL:
        raise DriverMissing
    from psycopg.conninfo import conninfo_to_dict

    given = _PATIENCE | conninfo_to_dict(_for_libpq(url))
    asked = dict(_OPTION.findall(str(given.get("options", ""))))
    bounds = {name: value for name, value in _BOUNDS.items() if name not in asked}
    silence = _silence(asked.get(_STATEMENT, _BOUNDS[_STATEMENT]))
    engine = create_engine("postgresql+psycopg://", poolclass=NullPool)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> _Connection:
        connection: _Connection = _Connection.connect(autocommit=True, **(parameters | given))
        connection.silence = silence
        _bound(connection, bounds)
        return connection

    return engine


def _for_libpq(url: str) -> str:
    """Return the URL for libpq: without a driver name, and with `=` in values written as `%3D`."""
    place, mark, query = url.replace("postgresql+psycopg:", "postgresql:", 1).partition("?")
    pairs = (pair.partition("=") for pair in query.split("&"))
    return place + mark + "&".join(name + sign + value.replace("=", "%3D") for name, sign, value in pairs)


def _silence(statement_timeout: str) -> float | None:
    told = _DURATION.fullmatch(statement_timeout.strip("'"))
    seconds = int(told[1]) * _SECONDS[told[2]] if told else 0.0
    return seconds + _BEYOND if seconds else None


def _bound(connection: _Connection, bounds: Mapping[str, str]) -> None:
    """Set the limits for the session, or in each transaction behind a pooler.

    A pooler reports its own process ids and may use another session per transaction: settings and prepared statements
    of a session would be left to others.
    """
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in bounds.items()) or "1"
    of_the_session = f"SELECT {settings} WHERE pg_backend_pid() = {connection.info.backend_pid}"
    is_direct = connection.execute(of_the_session.encode(), prepare=False).fetchone() is not None
    if not is_direct:
        connection.prepare_threshold = None
    of_a_reader = {name: _IDLE_READER if name == _IDLE else value for name, value in bounds.items()}
    connection.begins = (
        _beginning("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", of_a_reader, bounds if is_direct else {}),
        _beginning("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", bounds, bounds if is_direct else {}),
    )


def _beginning(begin: str, bounds: Mapping[str, str], already: Mapping[str, str]) -> str:
    lacking = [f"SET LOCAL {name} = '{value}'" for name, value in bounds.items() if already.get(name) != value]
    return "; ".join([begin, *lacking])


def begin_reading(connection: _Connection) -> None:
    """Begin a read-only transaction on one snapshot."""
    connection.execute(connection.begins[0].encode(), prepare=False)


def begin_writing(connection: _Connection) -> None:
    """Begin a writing transaction; after waiting for a row it sees what was committed meanwhile."""
    connection.execute(connection.begins[1].encode(), prepare=False)


def lift_bounds(connection: Any) -> None:
    """Remove the time limits of the transaction: it waits for others, or rebuilds tables."""
    connection.silence = None
    connection.execute("; ".join(f"SET LOCAL {name} = 0" for name in _BOUNDS).encode(), prepare=False)


def is_gone(connection: _Connection) -> bool:
    """Return whether the server has closed an idle connection: its socket is then readable."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def is_read_only(error: BaseException | None) -> bool:
    """Return whether the server refuses writes: it is a standby or set to read-only."""
    if isinstance(error, psycopg.errors.FeatureNotSupported):  # of "cannot set transaction read-write mode"
        return "read-write mode" in str(error)
    return isinstance(error, psycopg.errors.ReadOnlySqlTransaction)
