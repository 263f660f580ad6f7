"""`flask backup` and `flask restore`: all of it comes back, hostile or broken files change nothing."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from pausable.db.backup import writing
from pausable.db.files import lock_folder
from tests.cli.terminal import Terminal
from tests.execution.pausing import in_database
from tests.web.calling import everything
from tests.web.serving import serving, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEDULED, PAUSED = "1", "2"


@pytest.fixture
def archive(terminal: Terminal, tmp_path: Path) -> Path:
    """A backup of one operation that waits and one that is paused."""
    terminal.start("three")
    terminal.run("operations", "pause", terminal.start("three", "value=7"))
    file = tmp_path / "backup.tar.gz"
    said = terminal.says("backup", str(file))
    assert said.endswith("and 1 documents.\n")
    return file


@dataclass
class Elsewhere:
    """An installation without a database, to restore to; and every file in it."""

    terminal: Terminal
    folder: Path

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != "supervisor.lock"
        }


@pytest.fixture
def elsewhere(tmp_path: Path, broker_url: str, migrated_file: Path) -> Iterator[Elsewhere]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "operations.db").write_bytes(migrated_file.read_bytes())
    with serving(folder, in_database(broker_url, 13), slice_steps=1) as served:
        served.commands.engine.database.close()
        for file in folder.glob("operations.db*"):
            file.unlink()
        yield Elsewhere(Terminal(served), folder)


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def write(file: Path, held: dict[str, bytes]) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in held.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


def test_what_was_backed_up_comes_back_elsewhere_and_goes_on(archive: Path, elsewhere: Elsewhere) -> None:
    terminal = elsewhere.terminal

    assert "and 1 documents, as of " in terminal.says("restore", str(archive))

    assert (terminal.completion(SCHEDULED), terminal.completion(PAUSED)) == ("SCHEDULED", "PAUSED")
    terminal.run("operations", "resume", PAUSED)
    for _ in range(3):
        terminal.served.deliver()
    assert terminal.completion(PAUSED) == "COMPLETED"
    assert json.loads(terminal.says("operations", "show", PAUSED, "--result")) == 7


def test_a_document_beside_another_of_its_version_is_backed_up_too(
    terminal: Terminal, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    store = terminal.served.settings.workflow_store
    terminal.run("operations", "pause", terminal.start("three", "value=7"))
    (store / "1" / "3").rename(store / "1" / "3-0123abcd")
    with terminal.served.commands.engine.database.write() as tx:
        place = str(store / "1" / "3-0123abcd" / "workflow.json")
        tx.execute(text("UPDATE operations SET workflow_store = :place"), {"place": place})

    terminal.run("backup", str(tmp_path / "backup"))
    elsewhere.terminal.run("restore", str(tmp_path / "backup"))

    elsewhere.terminal.run("operations", "resume", "1")


def test_a_backup_holds_no_token_and_is_for_its_owner_alone(archive: Path, terminal: Terminal) -> None:
    (terminal.served.settings.data_dir / "token").write_text("the-first-users-token")

    held = members(archive)

    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert sorted(held) == ["documents/2/3/workflow.json", "list.json", "operations.db"]
    assert not any(token_of(name).encode() in content for name in ("ada", "bob") for content in held.values())


def test_what_was_deleted_is_not_in_a_backup(terminal: Terminal, tmp_path: Path) -> None:
    started = terminal.start("says", f"words={'secret' * 50}")
    with terminal.served.commands.engine.database.write() as tx:
        tx.execute(text("PRAGMA secure_delete = OFF"))
        tx.execute(text("DELETE FROM operations WHERE id = :id"), {"id": int(started)})

    terminal.run("backup", str(tmp_path / "backup"))

    assert b"secretsecret" not in members(tmp_path / "backup")["operations.db"]


def test_nothing_is_left_beside_a_backup(archive: Path, elsewhere: Elsewhere) -> None:
    elsewhere.terminal.run("restore", str(archive))

    assert [path.name for path in archive.parent.iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in elsewhere.folder.iterdir() if path.name.startswith(".")] == []


def test_a_backup_is_not_written_over_another_file(archive: Path, terminal: Terminal) -> None:
    before = archive.read_bytes()

    assert terminal.refuses("backup", str(archive)) == f"Error: {archive}: File exists.\n"

    assert archive.read_bytes() == before


def test_the_documents_alone_can_be_backed_up(archive: Path, terminal: Terminal, tmp_path: Path) -> None:
    said = terminal.says("backup", str(tmp_path / "documents"), "--documents")

    assert said == f"Wrote {tmp_path / 'documents'}: 1 documents.\n"
    assert sorted(members(tmp_path / "documents")) == ["documents/2/3/workflow.json", "list.json"]


def test_a_database_that_is_there_is_replaced_by_force_alone(archive: Path, terminal: Terminal) -> None:
    database = terminal.served.commands.engine.database
    before = everything(database)
    terminal.start("three")
    database.close()

    refused = terminal.refuses("restore", str(archive))

    file = terminal.served.settings.data_dir / "operations.db"
    assert refused == f"Error: There is a database at {file}: `--force` puts the backup in its place, for good.\n"
    terminal.run("restore", str(archive), "--force")
    restored = everything(database)
    assert [table for table in before if restored[table] != before[table]] == ["steps"]  # their times alone
    assert [row[:4] for row in restored["steps"]] == [row[:4] for row in before["steps"]]


def test_a_broken_database_is_replaced_by_force(archive: Path, elsewhere: Elsewhere) -> None:
    (elsewhere.folder / "operations.db").write_bytes(b"no database at all" * 1000)
    (elsewhere.folder / "operations.db-wal").write_bytes(b"nor its log")

    elsewhere.terminal.run("restore", str(archive), "--force")

    assert elsewhere.terminal.completion(PAUSED) == "PAUSED"


def test_a_service_that_runs_is_not_restored_under_its_hands(archive: Path, elsewhere: Elsewhere) -> None:
    with lock_folder(elsewhere.folder):
        refused = elsewhere.terminal.refuses("restore", str(archive))

    assert "is in use by a service that runs: stop it first. Nothing was changed." in refused
    assert elsewhere.files() == {}


def test_a_database_that_somebody_has_open_is_not_replaced(archive: Path, terminal: Terminal) -> None:
    engine = terminal.served.commands.engine
    before = everything(engine.database)  # its connection stays open

    refused = terminal.refuses("restore", str(archive), "--force")

    assert "operations.db is in use by a service that runs" in refused
    assert everything(engine.database) == before


def altered(held: dict[str, bytes]) -> dict[str, bytes]:
    return held | {"documents/2/3/workflow.json": held["documents/2/3/workflow.json"].replace(b"7", b"8")}


def beside(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda held: {name: b"hostile", **held}


def of_format(number: int) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda held: held | {"list.json": json.dumps(json.loads(held["list.json"]) | {"format": number}).encode()}


def without_list(held: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in held.items() if name != "list.json"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (altered, "its files do not match its index"),
        (beside("../outside"), "it contains the unexpected member"),
        (beside("/outside"), "it contains the unexpected member"),
        (beside("documents/../../outside/workflow.json"), "it contains the unexpected member"),
        (beside("documents/2/3/workflow.json/"), "it contains the unexpected member"),
        (beside("token"), "it contains the unexpected member"),
        (beside("documents/9/9/workflow.json"), "its files do not match its index"),
        (without_list, "it has no index"),
        (lambda held: held | {"list.json": b"{"}, "its index cannot be read"),
        (lambda held: held | {"list.json": b"[" * 100_000}, "its index cannot be read"),
        (of_format(2), "it has the format 2, but this version reads 1"),
    ],
)
def test_an_archive_that_is_not_as_it_was_written_changes_nothing(
    archive: Path, elsewhere: Elsewhere, change: Callable[[dict[str, bytes]], dict[str, bytes]], why: str
) -> None:
    write(archive, change(members(archive)))

    refused = elsewhere.terminal.refuses("restore", str(archive))

    assert why in refused
    assert refused.endswith("Nothing was changed.\n")
    assert elsewhere.files() == {}
    assert not (elsewhere.folder.parent / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_an_archive_holds_plain_files_alone(archive: Path, elsewhere: Elsewhere, kind: bytes) -> None:
    with tarfile.open(archive, "w:gz") as hostile:
        header = tarfile.TarInfo("documents/1/1/workflow.json")
        header.type, header.linkname = kind, "../../../../outside"
        hostile.addfile(header)

    assert "it contains the unexpected member" in elsewhere.terminal.refuses("restore", str(archive))


def test_an_archive_that_is_cut_short_anywhere_changes_nothing(archive: Path, elsewhere: Elsewhere) -> None:
    whole = archive.read_bytes()
    for tenth in range(10):
        archive.write_bytes(whole[: len(whole) * tenth // 10])

        assert "Nothing was changed." in elsewhere.terminal.refuses("restore", str(archive))

    assert elsewhere.files() == {}


def test_a_database_that_is_none_changes_nothing(archive: Path, elsewhere: Elsewhere, tmp_path: Path) -> None:
    (tmp_path / "fake.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with writing(tmp_path / "hostile", 0) as hostile:
        hostile.add("operations.db", tmp_path / "fake.db")

    assert "its database is damaged" in elsewhere.terminal.refuses("restore", str(tmp_path / "hostile"))
    assert elsewhere.files() == {}


def test_a_terminal_shows_how_far_a_backup_and_a_restore_are(
    terminal: Terminal, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar.gz"
    with terminal.seated("backup", str(file)) as seat:
        seat.wait_for(" bytes")
        seat.wait_for("Wrote ")
        assert seat.status() == 0

    with elsewhere.terminal.seated("restore", str(file)) as seat:
        seat.wait_for(" bytes")
        seat.wait_for("Restored ")
        assert seat.status() == 0
