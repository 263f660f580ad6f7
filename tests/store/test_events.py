from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.db.history import append_event, events_of
from tests.store.rows import NOW, add_operation

if TYPE_CHECKING:
    from pausable.db.database import Database


def test_events_come_back_in_the_order_they_were_appended(database: Database) -> None:
    with database.write() as tx:
        operation, other = add_operation(tx), add_operation(tx)
        append_event(tx, operation, at=NOW, who="ada", new="SCHEDULED")
        append_event(tx, other, at=NOW, who="ada", new="SCHEDULED")
        append_event(tx, operation, at=NOW - 9, who="worker", step="add", old="Running", new="Failed", why="no 7")

        first, second = events_of(tx, operation)

    assert (first.who, first.step, first.old, first.new, first.why) == ("ada", None, None, "SCHEDULED", None)
    told = (second.at, second.who, second.step, second.old, second.new, second.why)
    assert told == (NOW - 9, "worker", "add", "Running", "Failed", "no 7")


def test_events_are_read_on_from_the_last_one_seen(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        for number in range(5):
            append_event(tx, operation, at=NOW, who="ada", new=str(number))

        first = events_of(tx, operation, limit=2)
        rest = events_of(tx, operation, after=first[-1].id)

    assert [event.new for event in (*first, *rest)] == ["0", "1", "2", "3", "4"]


def test_an_event_is_undone_with_the_change_that_it_tells_of(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)

    try:
        with database.write() as tx:
            append_event(tx, operation, at=NOW, who="ada", new="PAUSED")
            raise InterruptedError
    except InterruptedError:
        pass

    with database.read() as tx:
        assert events_of(tx, operation) == []
