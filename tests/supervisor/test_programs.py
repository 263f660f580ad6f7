"""What is started, and what a person is told once it runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from app.supervisor.broker import EmbeddedBroker
from app.supervisor.supervision import address_of, announcement, programs_of, worker_command
from pausable.config import Settings

EMBEDDED = EmbeddedBroker("redis://:secret@127.0.0.1:1/0", ("server", "server.conf"))


def test_the_embedded_broker_comes_first_and_the_others_are_told_its_url() -> None:
    broker, worker, web = programs_of(Settings(), EMBEDDED)

    assert broker.command == ("server", "server.conf")
    assert [program.environ["BROKER_URL"] for program in (worker, web)] == [EMBEDDED.url] * 2
    assert "secret" not in str(broker.command + worker.command + web.command)


def test_with_a_broker_of_one_s_own_none_is_started() -> None:
    worker, web = programs_of(Settings(broker_url="redis://elsewhere/0"), None)

    assert (worker.name, web.name) == ("worker", "web")
    assert "BROKER_URL" not in worker.environ


def test_a_worker_has_as_many_processes_as_are_asked_for_and_fetches_nothing_ahead() -> None:
    line = shlex.join(worker_command(Settings(workers=7)))

    assert " --concurrency 7 " in line
    assert " --prefetch-multiplier 1 " in line


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104
        ("::", "http://[::1]:8000"),
        ("example.org", "http://example.org:8000"),
    ],
)
def test_the_address_is_one_that_this_machine_s_browser_can_open(host: str, address: str) -> None:
    assert address_of(Settings(host=host)) == address


def test_the_line_to_paste_holds_no_token_and_survives_odd_folder_names() -> None:
    told = announcement(Settings(port=9000), Path("my data/token"))

    [line] = [line for line in told.splitlines() if line.startswith("curl")]
    assert "$(cat 'my data/token')" in line
    assert line.endswith(" http://127.0.0.1:9000/operations")


def test_a_token_that_was_taken_away_is_not_promised() -> None:
    told = announcement(Settings(), None)

    assert "curl" not in told
    assert "`flask users add NAME`" in told


def test_behind_a_prefix_readiness_is_asked_for_and_told_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPT_NAME", "/ops/")

    assert address_of(Settings()) == "http://127.0.0.1:8000/ops"
