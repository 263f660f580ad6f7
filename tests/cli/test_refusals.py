"""Every foreseen fault is one sentence on standard error and exit status 1; a misuse is exit status 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest

from app.cli.output import refusals, told_plainly
from pausable.db.database import Database
from pausable.errors import AdminMissing, SettingsInvalid
from tests.web.serving import ROOT

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("show 7", "There is no operation 7, or it is not yours."),
        ("show 1 --user eve", "There is no operation 1, or it is not yours."),
        ("pause 1 --user eve", "There is no operation 1, or it is not yours."),
        ("show 1 --user nobody", "There is no user named nobody: `flask users list` shows those there are."),
        ("resume 1", "Operation 1 is CANCELLED: it cannot become IN PROGRESS."),
        ("rebuild 1", "Operation 1 is CANCELLED: it cannot become rebuilt: only a PAUSED one has a workflow.json."),
        ("start thre", "There is no workflow 'thre'. Is three meant?"),
        (
            "start zzz",
            "There is no workflow 'zzz': `flask operations workflows` lists those there are. "
            "For your own, the setting WORKFLOWS must say here what it says to the service.",
        ),
        ("start three size=1", "The arguments do not fit the workflow 'three': size: There is no such parameter."),
        ("start without-steps", "The canvas has no step: an operation needs at least one."),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(terminal: Terminal, words: str, sentence: str) -> None:
    terminal.run("operations", "cancel", terminal.start("three"))

    assert terminal.refuses("operations", *words.split()) == f"Error: {sentence}\n"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("show one", "Invalid value for 'ID': 'one' is not a valid integer range."),
        ("show 0", "Invalid value for 'ID': 0 is not in the range 1<=x<=9223372036854775807."),
        ("show 9223372036854775808", "9223372036854775808 is not in the range 1<=x<=9223372036854775807."),
        ("show", "Missing argument 'ID'."),
        ("shoe 1", "No such command 'shoe'."),
        ("list --limit 0", "Invalid value for '--limit': 0 is not in the range 1<=x<=1000."),
        ("list --completion done", "'done' is none of scheduled, in-progress, requesting-pause, paused,"),
        ("start three 7", "'7' is not written as KEY=VALUE."),
        ("pause 1 --wait -1", "Invalid value for '--wait': -1.0 is not in the range x>=0."),
    ],
)
def test_a_misuse_ends_with_status_2(terminal: Terminal, words: str, fault: str) -> None:
    assert fault in terminal.refuses("operations", *words.split(), status=2)


def test_without_an_admin_somebody_must_be_named(terminal: Terminal) -> None:
    with terminal.served.commands.engine.database.write() as tx:
        tx.exec_driver_sql("UPDATE user SET role = 'user'")

    assert terminal.refuses("operations", "list") == f"Error: {AdminMissing()}\n"
    assert terminal.says("operations", "list", "--user", "bob")


def test_what_a_person_wrote_cannot_steer_the_terminal(terminal: Terminal) -> None:
    started = terminal.start("three")

    terminal.run("operations", "pause", started, "--reason", "\x1b[2Jboo")

    for words in (["show", started], ["events", started], ["resume", started, "--user", "\x1b[2J"]):
        assert "\x1b" not in terminal.served.app.test_cli_runner().invoke(args=["operations", *words]).output


def test_a_database_that_somebody_holds_is_told_of(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pausable.db.database._BUSY_TIMEOUT", 1)
    terminal.served.commands.engine.database.close()
    holder: Any = Database(terminal.served.settings.database_url).engine().raw_connection()
    holder.driver_connection.execute("BEGIN IMMEDIATE")  # past the file lock, as any other program would

    said = terminal.refuses("operations", "start", "three")
    holder.close()

    assert said == "Error: The database refused (database is locked): try again.\n"


def test_a_file_that_is_no_database_is_told_of(terminal: Terminal) -> None:
    terminal.served.commands.engine.database.close()
    (terminal.served.settings.data_dir / "operations.db").write_text("no database " * 1000)

    said = terminal.refuses("operations", "list")

    assert said.startswith("Error: The database cannot be used (file is not a database): is DATABASE_URL right")


def test_a_fault_of_the_system_is_told_with_what_it_is_about() -> None:
    with pytest.raises(click.ClickException, match=r"^/nowhere/token: No such file or directory\.$"), refusals():
        raise FileNotFoundError(2, "No such file or directory", "/nowhere/token")


def test_a_password_is_never_told() -> None:
    with pytest.raises(click.ClickException, match=r"postgresql://me:\*\*\*@host"), refusals():
        raise SettingsInvalid({"DATABASE_URL": "postgresql://me:hunter2@host is wrong."})


def test_a_bug_shows_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), refusals():
        raise ZeroDivisionError


def test_another_importer_than_the_flask_command_gets_the_error_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLASK_RUN_FROM_CLI", raising=False)

    with pytest.raises(SettingsInvalid), told_plainly():
        raise SettingsInvalid({"PORT": "PORT is wrong."})


def test_all_faults_of_the_settings_are_told_at_once(terminal: Terminal) -> None:
    said = terminal.program("--app", "wsgi", "operations", "list", PORT="eighty", WORKERS="0")

    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.splitlines() == [
        "Error: Settings that cannot be used:",
        "  PORT is 'eighty': set it to a whole number from 1 to 65535, or leave it out.",
        "  WORKERS is '0': set it to a whole number, at least 1, or leave it out.",
    ]


def test_the_application_is_found_without_being_named(terminal: Terminal) -> None:
    said = terminal.program("users", "list")

    assert (ROOT / "wsgi.py").exists()
    assert said.stdout.splitlines()[1].split() == ["1", "ada", "admin"], said.stderr


def test_without_a_broker_an_operation_is_accepted_all_the_same(terminal: Terminal) -> None:
    said = terminal.program("operations", "start", "three", BROKER_URL="redis://127.0.0.1:1/0")

    assert said.stdout == "Operation 1 is accepted and waits for a worker.\n", said.stderr
    assert terminal.completion("1") == "SCHEDULED"
