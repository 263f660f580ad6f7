from __future__ import annotations

import multiprocessing
import stat
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from pausable.config import Settings
from pausable.db.database import Database
from pausable.db.users import User, add_user, digest_of, first_user, list_users, prefix_of, revoke_token, user_of_token
from pausable.errors import TokenInvalid
from tests.databases import on_sqlite_alone

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    from tests.conftest import NewDatabase

GIVEN = "given-by-operator-0123456789"


@pytest.fixture
def settings(new_database: NewDatabase, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=new_database(tmp_path))


def test_a_new_database_gets_an_admin_whose_token_is_in_the_file(settings: Settings) -> None:
    file = first_user(settings)

    assert file == settings.data_dir / "token"
    assert _users(settings) == [User(1, "admin", "admin")]
    assert _user_of(settings, file.read_text().strip()) == User(1, "admin", "admin")


def test_the_token_file_is_for_its_owner_alone_and_nothing_lies_beside_it(settings: Settings) -> None:
    file = first_user(settings)

    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir() if "token" in path.name] == ["token"]


def test_the_operators_own_token_is_the_first_users(settings: Settings) -> None:
    file = first_user(_with_token(settings))

    assert file is not None
    assert file.read_text() == f"{GIVEN}\n"
    assert _user_of(settings, GIVEN) == User(1, "admin", "admin")


def test_a_second_start_changes_nothing(settings: Settings) -> None:
    file = first_user(settings)
    assert file is not None
    token = file.read_text()

    again = first_user(settings)

    assert again == file
    assert file.read_text() == token
    assert _count_tokens(settings) == 1


def test_a_token_given_later_is_added_to_those_of_the_oldest_user(settings: Settings) -> None:
    file = first_user(settings)
    assert file is not None
    _add_user(settings, "grace")

    first_user(_with_token(settings))
    first_user(_with_token(settings))

    assert _user_of(settings, GIVEN) == _user_of(settings, file.read_text().strip()) == User(1, "admin", "admin")
    assert _count_tokens(settings) == 2


def test_a_given_token_that_was_revoked_stays_so(settings: Settings) -> None:
    first_user(_with_token(settings))
    with Database(settings.database_url).write() as tx:
        revoke_token(tx, 1, prefix_of(GIVEN), 0.0)

    first_user(_with_token(settings))

    assert _user_of(settings, GIVEN) is None


def test_a_token_file_that_was_taken_away_does_not_come_back(settings: Settings) -> None:
    file = first_user(settings)
    assert file is not None
    file.unlink()

    assert first_user(settings) is None
    assert _count_tokens(settings) == 1


def test_a_database_that_has_users_gets_no_other(settings: Settings) -> None:
    _add_user(settings, "grace")

    assert first_user(settings) is None
    assert [user.name for user in _users(settings)] == ["grace"]


def test_a_useless_token_is_refused_without_being_repeated(settings: Settings) -> None:
    with pytest.raises(TokenInvalid) as refused:
        first_user(settings.model_copy(update={"operations_token": SecretStr("too short")}))

    assert "too short" not in str(refused.value)
    assert _users(settings) == []


def test_no_user_is_added_when_the_token_cannot_be_kept(settings: Settings) -> None:
    (settings.data_dir / "token").mkdir()

    with pytest.raises(OSError, match="token"):
        first_user(settings)

    assert _users(settings) == []
    assert [path.name for path in settings.data_dir.iterdir() if "token" in path.name] == ["token"]


@on_sqlite_alone
def test_the_token_is_nowhere_in_the_database(settings: Settings) -> None:
    file = first_user(settings)
    assert file is not None
    token = file.read_text().strip().encode()

    written = [path.read_bytes() for path in settings.data_dir.glob("operations.db*")]

    assert digest_of(token.decode()).encode() in b"".join(written)
    assert token not in b"".join(written)


def test_processes_that_start_at_once_agree_on_one_user_and_token(settings: Settings) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(4)
    starting = [spawn.Process(target=_start_after, args=(start, settings)) for _ in range(4)]

    for process in starting:
        process.start()
    for process in starting:
        process.join(60)

    assert [process.exitcode for process in starting] == [0] * 4
    assert _count_tokens(settings) == 1
    assert _user_of(settings, (settings.data_dir / "token").read_text().strip()) == User(1, "admin", "admin")


def _start_after(start: Barrier, settings: Settings) -> None:
    start.wait(60)
    assert first_user(settings) == settings.data_dir / "token"


def _with_token(settings: Settings) -> Settings:
    return settings.model_copy(update={"operations_token": SecretStr(GIVEN)})


def _add_user(settings: Settings, name: str) -> None:
    with Database(settings.database_url).write() as tx:
        add_user(tx, name, "user", 0.0)


def _users(settings: Settings) -> list[User]:
    with Database(settings.database_url).read() as tx:
        return list_users(tx)


def _user_of(settings: Settings, token: str) -> User | None:
    with Database(settings.database_url).read() as tx:
        return user_of_token(tx, digest_of(token))


def _count_tokens(settings: Settings) -> int:
    with Database(settings.database_url).read() as tx:
        count: int = tx.exec_driver_sql("SELECT count(*) FROM tokens").scalar_one()
        return count
