"""The broker that is started when none is given: private, on loopback, and where it was after a restart."""

from __future__ import annotations

import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import redis

from app.supervisor import broker as embedded_broker
from app.supervisor.broker import find_server, prepare_broker
from pausable.config import Settings, broker_address
from pausable.errors import BrokerProgramMissing
from tests.supervisor.conftest import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.supervisor.broker import EmbeddedBroker


@contextmanager
def running(broker: EmbeddedBroker) -> Iterator[redis.Redis]:
    with subprocess.Popen(broker.command, stdout=subprocess.DEVNULL) as process:
        until(broker.answers, "the broker answers")
        with redis.Redis.from_url(broker.url) as client:
            yield client
        process.terminate()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_answers_at_its_url_and_to_nobody_without_the_password(tmp_path: Path) -> None:
    broker = prepare_broker(tmp_path)
    assert not broker.answers()

    with running(broker) as client, redis.Redis(port=client.get_connection_kwargs()["port"]) as stranger:
        assert client.ping()
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_only_its_owner_can_read_its_password(tmp_path: Path) -> None:
    broker = prepare_broker(tmp_path)
    password = broker.url.split("@")[0].removeprefix("redis://:")

    holders = [path for path in tmp_path.rglob("*") if path.is_file() and password in path.read_text()]

    assert {mode(path) for path in holders} == {0o600}
    assert {mode(path.parent) for path in holders} == {0o700}
    assert password not in " ".join(broker.command)


def test_port_password_and_messages_outlive_a_restart(tmp_path: Path) -> None:
    first = prepare_broker(tmp_path)
    with running(first) as client:
        client.rpush("queue", "message")

    second = prepare_broker(tmp_path)

    assert second == first
    with running(second) as client:
        assert client.lrange("queue", 0, -1) == [b"message"]


def test_it_moves_when_its_port_has_been_taken(tmp_path: Path) -> None:
    first = prepare_broker(tmp_path / "one")
    kept = tmp_path / "two" / "broker" / "url"
    kept.parent.mkdir(parents=True)
    kept.write_text(first.url)

    with running(first):
        second = prepare_broker(tmp_path / "two")

    assert second.url != first.url


def test_other_programs_find_it_by_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert broker_address(settings) is None

    broker = prepare_broker(tmp_path)

    assert broker_address(settings) == broker.url
    assert broker_address(Settings(data_dir=tmp_path, broker_url="redis://elsewhere/0")) == "redis://elsewhere/0"


def test_without_the_pinned_server_the_machine_s_own_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64'\n")
    own.chmod(0o755)
    monkeypatch.setattr(embedded_broker, "_pinned_server", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    broker = prepare_broker(tmp_path / "var")

    assert broker.command == (str(own), str(tmp_path / "var" / "broker" / "redis-7" / "server.conf"))


def test_without_any_server_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded_broker, "_pinned_server", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokerProgramMissing, match="install one of them, or set BROKER_URL"):
        find_server()


@pytest.mark.parametrize("name", ["what? %41", 'a "quoted" one', "back\\slash", "späte it's", "data[1]", "what?\\s *"])
def test_it_starts_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    broker = prepare_broker(tmp_path / name)

    with running(broker) as client:
        assert client.config_get("dir")["dir"] == str(broker_folder(tmp_path / name))


def broker_folder(data_dir: Path) -> Path:
    """The folder of the server's files."""
    [configuration] = data_dir.glob("broker/*/server.conf")
    return configuration.parent
