"""How much work an act is, counted: the same on every machine, however busy it is."""

from __future__ import annotations

import cProfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pausable.db.database import Database

_TRANSACTIONS = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})


@dataclass
class Work:
    """Function calls, statements, rows that were read, characters in these rows, and characters of what was sent."""

    #: The statements themselves, without what begins and ends transactions.
    sql: list[str] = field(default_factory=list)
    calls: int = 0
    statements: int = 0
    rows: int = 0
    characters: int = 0
    written: int = 0

    def note(self, statement: str) -> None:
        self.statements += 1
        if statement.split(maxsplit=1)[0] not in _TRANSACTIONS:
            self.sql.append(statement)

    def take_in(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        self.rows += 1
        self.characters += sum(len(value) for value in row if isinstance(value, str))
        return row


@contextmanager
def measured(database: Database, *, has_calls: bool = True) -> Iterator[Work]:
    """Count the work that this thread does within the block; calls too, which takes twice the time, unless told not."""
    work = Work()
    with database.glance() as tx:
        driver: Any = tx.connection.driver_connection
    profile = cProfile.Profile()
    with _counting_on_sqlite(driver, work) if database.is_sqlite else _counting_on_postgresql(driver, work):
        if has_calls:
            profile.enable()
        try:
            yield work
        finally:
            if has_calls:
                profile.disable()
                work.calls = sum(entry.callcount for entry in profile.getstats())


@contextmanager
def _counting_on_sqlite(driver: Any, work: Work) -> Iterator[None]:
    def count(statement: str) -> None:
        work.note(statement)
        work.written += len(statement)  # its parameters stand in it

    driver.set_trace_callback(count)
    driver.row_factory = lambda _cursor, row: work.take_in(row)
    try:
        yield
    finally:
        driver.row_factory = None
        driver.set_trace_callback(None)


@contextmanager
def _counting_on_postgresql(driver: Any, work: Work) -> Iterator[None]:
    plain_cursor, plain_rows = driver.cursor_factory, driver.row_factory

    class Counting(plain_cursor):  # type: ignore[misc, valid-type]
        def execute(self, *given: Any, **more: Any) -> Any:
            work.note(given[0].decode() if isinstance(given[0], bytes) else str(given[0]))
            work.written += _length(given[1] if len(given) > 1 else more.get("params"))
            return super().execute(*given, **more)

        def executemany(self, query: Any, rows: Any, **more: Any) -> None:
            work.statements += len(rows)
            work.written += sum(map(_length, rows))
            super().executemany(query, rows, **more)

    def counting_rows(cursor: Any) -> Callable[[Any], Any]:
        make = plain_rows(cursor)
        return lambda values: work.take_in(make(values))

    driver.cursor_factory, driver.row_factory = Counting, counting_rows
    try:
        yield
    finally:
        driver.cursor_factory, driver.row_factory = plain_cursor, plain_rows


def _length(parameters: Any) -> int:
    values = parameters.values() if isinstance(parameters, dict) else parameters or ()
    return sum(len(value) for value in values if isinstance(value, str))
