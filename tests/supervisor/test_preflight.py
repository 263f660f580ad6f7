"""Each thing that would keep the service from running is named in one sentence before anything is started."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from app.supervisor.broker import free_port
from app.supervisor.checks import faults_of
from pausable.config import Settings, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def faults(tmp_path: Path) -> Any:
    """Asks for the faults of settings that are right but for what is given."""

    def ask(wrong: tuple[str, ...] = (), **given: Any) -> list[str]:
        right = {"data_dir": tmp_path / "var", "input_dir": tmp_path / "input", "port": free_port()}
        return faults_of(Settings(**(right | given)), wrong)

    return ask


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """A file where a folder is wanted: not even root can make a folder under it."""
    path = tmp_path / "a-file"
    path.write_text("not a folder, and no database either")
    return path


def test_right_settings_have_no_fault_and_their_folders_are_made(faults: Any, tmp_path: Path) -> None:
    assert faults() == []

    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "input").is_dir()


def test_a_reachable_broker_is_no_fault(faults: Any, broker_url: str) -> None:
    assert faults(broker_url=broker_url) == []


def test_a_taken_port_is_named(faults: Any) -> None:
    with taken_port() as port:
        found = faults(port=port)

    assert found == [f"PORT {port} on 127.0.0.1 is taken: set PORT to another, or stop the program that listens there."]


def test_a_host_that_is_not_of_this_machine_is_named(faults: Any) -> None:
    [found] = faults(host="192.0.2.1")

    assert found.startswith("HOST 192.0.2.1 is no address of this machine (")


@pytest.mark.parametrize("variable", ["DATA_DIR", "INPUT_DIR", "WORKFLOW_STORE"])
def test_a_folder_that_cannot_be_used_is_named(faults: Any, a_file: Path, variable: str) -> None:
    [found] = faults(**{variable.lower(): a_file / "folder"})

    assert found.startswith(f"{variable} {a_file}/folder cannot be ")


def test_every_workflow_module_that_cannot_be_used_is_named(faults: Any) -> None:
    found = faults(workflows=("json", "pausable.workflows.shipped.add_numbers", "no_such_package.reports"))

    assert [sentence.split(",")[0] for sentence in found] == [
        "WORKFLOWS names json",
        "WORKFLOWS names no_such_package.reports",
    ]


def test_a_file_that_is_no_database_is_named(faults: Any, a_file: Path) -> None:
    assert faults(database_url=f"sqlite:///{a_file}") == [
        f"DATABASE_URL's file {a_file} is no SQLite database: name another file."
    ]


def test_a_database_in_a_folder_that_cannot_be_used_is_named(faults: Any, a_file: Path) -> None:
    [found] = faults(database_url=f"sqlite:///{a_file}/operations.db")

    assert found.startswith(f"DATABASE_URL's folder {a_file} cannot be written to ")


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_database_server_that_does_not_answer_is_named_without_its_password(faults: Any, scheme: str) -> None:
    [found] = faults(database_url=f"{scheme}://me:hunter2@127.0.0.1:{free_port()}/operations")

    assert found.startswith(f"DATABASE_URL {scheme}://me:***@127.0.0.1")
    assert "hunter2" not in found
    assert "refused" in found


@pytest.mark.parametrize("scheme", ["redis", "amqp", "reddis"])
def test_a_broker_that_does_not_answer_is_named_without_its_password(faults: Any, scheme: str) -> None:
    [found] = faults(broker_url=f"{scheme}://me:hunter2@127.0.0.1:{free_port()}/0")

    assert found.startswith(f"BROKER_URL {scheme}://me:***@127.0.0.1")
    assert "hunter2" not in found


def test_a_broker_that_refuses_the_password_is_named(faults: Any, broker_url: str) -> None:
    [found] = faults(broker_url=broker_url.replace("@", "0@"))

    assert found.startswith("BROKER_URL redis://:***@")


def test_all_faults_are_named_at_once_but_those_of_settings_named_already(faults: Any, a_file: Path) -> None:
    with taken_port() as port:
        found = faults(("PORT",), port=port, input_dir=a_file, workflows=("no_such_package",))

    assert [sentence.split()[0] for sentence in found] == ["INPUT_DIR", "WORKFLOWS"]


def test_a_store_of_results_that_there_is_not_is_named(faults: Any) -> None:
    [fault] = faults(results="warp://core/7")
    assert fault.startswith("RESULTS cannot be used: There is no store of results for 'warp://core/7': give a folder")
    assert faults(results="s3://bucket/prefix") == []


def test_a_folder_for_results_that_cannot_be_written_to_is_named(faults: Any, a_file: Path) -> None:
    [fault] = faults(results=str(a_file))
    assert fault.startswith(f"RESULTS {a_file} cannot be written to (")


def test_a_database_file_that_is_mounted_without_its_folder_is_named(faults: Any, tmp_path: Path) -> None:
    file, mounted = tmp_path / "operations.db", tmp_path / "elsewhere" / "operations.db"
    for path in (file, mounted):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    done = subprocess.run(["mount", "--bind", str(file), str(mounted)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here ({done.stderr.strip()})")

    try:
        [found] = faults(database_url=f"sqlite:///{mounted}")
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)

    assert "is mounted without its folder" in found
    assert faults(database_url=f"sqlite:///{file}") == []


@pytest.mark.parametrize("name", ["what?", "%41", 'a "quoted" one', "back\\slash"])
def test_the_folder_of_a_database_is_made_under_its_own_name(faults: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "odd" / name

    assert faults(database_url=sqlite_url(folder / "operations.db")) == []

    assert folder.is_dir()
    assert [path.name for path in (tmp_path / "odd").iterdir()] == [name]


def test_an_address_of_a_database_that_cannot_be_read_is_named(faults: Any) -> None:
    [found] = faults(database_url="postgresql://me:hunter2@host/operations?what=1")

    assert "hunter2" not in found
    assert 'invalid URI query parameter: "what"' in found
