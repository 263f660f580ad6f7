"""A secret that steps print, log, raise and return is afterwards nowhere: each file and each answer is searched."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.execution.pausing import in_database
from tests.notifications.endpoint import half, listening
from tests.web.calling import Caller, json_of
from tests.web.secret_flows import NAME
from tests.web.serving import serving, token_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase
    from tests.notifications.endpoint import Endpoint
    from tests.web.serving import Served

VALUE = 'planted"hunter2/ümlaut'
HOW = {
    "tell": "COMPLETED",
    "fail": "FAILED",
    "fail_twice": "FAILED",
    "retry_with_it": "FAILED",
    "give": "FAILED",
    "handled": "FAILED",
    "signal": "FAILED",
}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Fails half the time, so that failures are told too."""
    with listening(answers=half) as endpoint:
        yield endpoint


@pytest.fixture(params=["plain", "json"])
def served(
    request: pytest.FixtureRequest,
    new_database: NewDatabase,
    broker_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: Endpoint,
) -> Iterator[Served]:
    monkeypatch.setenv(NAME, VALUE)
    monkeypatch.setenv("PLANTED_HOOK", endpoint.url("/hunter2"))
    monkeypatch.setenv("WEBHOOK_KEY", f"whsec_{base64.b64encode(b'hunter2-hunter2-hunter2-').decode()}")
    given: dict[str, Any] = {"database_url": new_database(tmp_path), "log_format": request.param}
    given |= {"webhook_hosts": (endpoint.host,), "log_level": "DEBUG"}
    with serving(tmp_path, in_database(broker_url, 3), "tests.web.secret_flows", **given) as served:
        yield served


@pytest.fixture
def ada(served: Served) -> Caller:
    return Caller(served.app.test_client(), token_of("ada"))


def traces(said: bytes) -> list[str]:
    """The forms of the secret that occur in these bytes."""
    forms = {
        "plain": VALUE.encode(),
        "JSON": json.dumps(VALUE)[1:-1].encode(),
        "JSON in JSON": json.dumps(json.dumps(VALUE)[1:-1])[1:-1].encode(),
        "in an address": quote(VALUE, safe="").encode(),
        "Base64": base64.b64encode(VALUE.encode()),
        "the key of webhooks": base64.b64encode(b"hunter2-hunter2-hunter2-"),
        "a part": b"hunter2",
    }
    return [name for name, form in forms.items() if form in said]


def answers(ada: Caller, address: str) -> Iterator[tuple[str, bytes]]:
    """All that the API tells of an operation, by address."""
    slugs = [step["slug"] for step in json_of(ada.get(f"{address}/steps"))["steps"]]
    for place in ("", "/status", "/steps", "/events", *(f"/steps/{slug}/log" for slug in slugs)):
        yield f"{address}{place}", ada.get(f"{address}{place}").data
    yield "/operations", ada.get("/operations").data


def files(served: Served) -> dict[str, list[str]]:
    return {file.name: traces(file.read_bytes()) for file in served.settings.data_dir.rglob("*") if file.is_file()}


def ended(served: Served, ada: Caller) -> Iterator[str]:
    """Run all of them, each to its right end; gives their addresses."""
    for address, end in [(ada.start("blab", how=how), end) for how, end in HOW.items()]:
        wait_for(lambda: ada.completion(address) in ("COMPLETED", "FAILED"), served.told)  # noqa: B023
        assert ada.completion(address) == end
        yield address


def test_a_planted_secret_is_in_no_file_no_log_and_no_answer(served: Served, ada: Caller, endpoint: Endpoint) -> None:
    with served.working():
        addresses = list(ended(served, ada))
        wait_for(lambda: len(endpoint.delivered()) > len(HOW), served.told)
        running = files(served)
    told = [one for address in addresses for one in answers(ada, address)]

    assert {"celery.log", "operations.db-wal"} & running.keys()
    assert [name for name, forms in (running | files(served)).items() if forms] == []
    assert [place for place, said in told if traces(said)] == []


def test_a_planted_secret_is_in_no_notification(served: Served, ada: Caller, endpoint: Endpoint) -> None:
    with served.working():
        list(ended(served, ada))
        wait_for(lambda: len(endpoint.delivered()) > len(HOW), served.told)

    assert [one.body for one in endpoint.received if traces(one.body)] == []
    assert {one.said["data"]["text"] for one in endpoint.delivered()} == {
        "blab: Success",
        "blab: Failed",
        f"handled: no entry with <secret {NAME}>",
    }


def test_what_is_told_instead_names_the_secret(served: Served, ada: Caller) -> None:
    addresses = {how: ada.start("blab", how=how) for how in HOW}
    with served.working():
        for address in addresses.values():
            wait_for(lambda: ada.completion(address) in ("COMPLETED", "FAILED"), served.told)  # noqa: B023

    log = ada.get(f"{addresses['tell']}/steps/tell/log").text
    for said in ("printed ", "warned of ", "logged ", 'as JSON {"key": "', "https://host/?key=", "https://me:"):
        assert f"{said}<secret {NAME}>" in log
    error = json_of(ada.get(addresses["fail"]))["error"]
    assert error["message"].startswith(f"('<secret {NAME}>'")
    assert f"ValueError: ('<secret {NAME}>'" in error["traceback"]
    assert "refused <secret" in ada.get(f"{addresses['fail_twice']}/events").text
    for how, what in (("give", "result"), ("retry_with_it", "retry")):
        error = json_of(ada.get(addresses[how]))["error"]
        assert error["type"] == "SecretInResult"
        assert f"The {what} of tests.web.secret_flows.{how} holds the secret {NAME}" in error["message"]
