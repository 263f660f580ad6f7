"""`flask notifications`: what waits, what was sent, what was given up, and having it tried again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pausable.db.outbox import Lease, Written, insert_notifications, mark_failed, mark_sent, take_due
from tests.store.rows import NOW, add_operation

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


@pytest.fixture
def several(terminal: Terminal) -> Terminal:
    """1 was sent, 2 given up, 3 waits; 3 is of another operation, and of the operation itself."""
    with terminal.served.commands.engine.database.write() as tx:
        first, second = add_operation(tx), add_operation(tx)
        for operation, step, source in (
            (first, "clean", "step:reports.clean"),
            (first, "merge", "all"),
            (second, "", "workflow:monthly-report"),
        ):
            written = Written(operation, step, "notification", "3:Failed", source, 0, '{"step": "clean"}', NOW)
            insert_notifications(tx, [written])
        sent, failed, _ = take_due(tx, now=NOW, lease=Lease(NOW + 60), limit=9)
        mark_sent(tx, sent, NOW)
        mark_failed(tx, failed, "it answered 500", NOW)
    return terminal


def listed(terminal: Terminal, *words: str) -> list[list[str]]:
    return [line.split() for line in terminal.says("notifications", "list", *words).splitlines()][1:]


def test_they_are_listed_the_newest_first_with_where_they_stand_in_the_code(several: Terminal) -> None:
    waiting, failed, sent = listed(several)

    assert waiting[:7] == ["3", "2", "0", "of", "workflow:monthly-report", "Waiting", "1"]
    assert failed[:7] == ["2", "1", "merge", "0", "of", "all", "Failed"]
    assert failed[-3:] == ["it", "answered", "500"]
    assert sent[:3] == ["1", "1", "clean"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--state", "sent"), "1"),
        (("--state", "failed"), "2"),
        (("--state", "waiting"), "3"),
        (("--operation", "1"), "21"),
        (("--limit", "1"), "3"),
        (("--after", "2"), "1"),
    ],
)
def test_some_of_them_are_listed(several: Terminal, words: tuple[str, ...], ids: str) -> None:
    assert [row[0] for row in listed(several, *words)] == list(ids)


def test_a_program_gets_one_object_a_line(several: Terminal) -> None:
    lines = several.says("notifications", "list", "--json").splitlines()

    assert [json.loads(line)["state"] for line in lines] == ["Waiting", "Failed", "Sent"]
    assert json.loads(lines[1])["facts"] == {"step": "clean"}


def test_what_was_given_up_is_tried_again(several: Terminal) -> None:
    assert several.says("notifications", "retry", "1", "3").startswith("Nothing changed")
    assert several.says("notifications", "retry", "--operation", "2").startswith("Nothing changed")
    assert several.says("notifications", "retry", "2") == "1 are tried again.\n"
    assert [row[0] for row in listed(several, "--state", "waiting")] == ["3", "2"]
