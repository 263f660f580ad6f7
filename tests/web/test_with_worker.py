"""The whole way: requests to a real web server, and a real worker that does what they ask for."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from app.supervisor.broker import free_port
from tests.databases import on_postgresql_alone
from tests.execution.pausing import in_database
from tests.web.serving import ROOT, serving, token_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase


@dataclass
class Server:
    """A web server to be called by Bob."""

    port: int
    folder: Path

    def post(self, address: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        return self.ask("POST", address, None if body is None else json.dumps(body), headers)

    def get(self, address: str) -> tuple[int, Any]:
        return self.ask("GET", address)

    def ask(
        self, method: str, address: str, body: Any = None, said: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, Any]:
        """The status and what is said."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token_of('bob')}", "Content-Type": "application/json", **(said or {})}
        connection.request(method, address, body, headers, **options)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        return answer.status, said

    def answers(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def start(self, workflow: str, **arguments: Any) -> str:
        status, said = self.post("/operations", {"workflow": workflow, "arguments": arguments})
        assert status == 202
        return str(said["links"]["self"])

    def wait_until(self, place: str, *completions: str) -> Any:
        wait_for(lambda: self.get(f"{place}/status")[1]["completion"] in completions)
        return self.get(place)[1]

    def start_at_gate(self, name: str, **arguments: Any) -> tuple[str, Path]:
        """An operation whose first step runs until its gate is made."""
        gate = self.folder / name
        place = self.start("gate", gate=str(gate), **arguments)
        wait_for(lambda: bool(self.get(f"{place}/status")[1]["in_flight"]))
        return place, gate


@pytest.fixture(scope="module")
def server(migrated_file: Path, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The web server and one worker process."""
    folder = tmp_path_factory.mktemp("served")
    with served_over_http(folder, f"sqlite:///{shutil.copy(migrated_file, folder)}", broker_url) as server:
        yield server


@contextmanager
def served_over_http(folder: Path, database_url: str, broker_url: str) -> Iterator[Server]:
    port = free_port()
    gunicorn = ["gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{port}", "--threads", "64"]
    with (
        serving(folder, in_database(broker_url, 4), database_url=database_url) as served,
        served.working(),
        served.running(*gunicorn, "--config", str(ROOT / "gunicorn.conf.py"), "--no-control-socket"),
    ):
        server = Server(port, folder)
        wait_for(server.answers, served.told)
        yield server


def test_an_operation_runs_to_its_end(server: Server) -> None:
    place = server.start("add-numbers", start=5)

    ended = server.wait_until(place, "COMPLETED", "FAILED")

    assert ended["result"] == {"operation_id": ended["id"], "total": 14}


def test_a_pause_takes_effect_after_the_step_in_hand_and_a_resume_goes_on(server: Server) -> None:
    place, gate = server.start_at_gate("pausing")

    requested = server.post(f"{place}/pause")
    gate.touch()
    paused = server.wait_until(place, "PAUSED")
    resumed = server.post(f"{place}/resume")
    ended = server.wait_until(place, "COMPLETED")

    assert (requested[0], requested[1]["completion"]) == (202, "REQUESTING PAUSE")
    assert (paused["progress"]["done"], paused["in_flight"]) == (1, [])
    assert (resumed[0], resumed[1]["completion"]) == (202, "IN PROGRESS")
    assert ended["result"] == 1


def test_a_wait_is_answered_as_soon_as_the_operation_is_paused(server: Server) -> None:
    place, gate = server.start_at_gate("waiting")

    with ThreadPoolExecutor() as people:
        waiting = people.submit(server.post, f"{place}/pause?wait=20")
        wait_for(lambda: server.get(f"{place}/status")[1]["completion"] == "REQUESTING PAUSE")
        gate.touch()

    assert waiting.result()[0] == 200
    assert waiting.result()[1]["completion"] == "PAUSED"


def test_a_pause_that_the_last_step_outruns_is_answered_with_the_end(server: Server) -> None:
    place, gate = server.start_at_gate("outrun", after=0)

    with ThreadPoolExecutor() as people:
        waiting = people.submit(server.post, f"{place}/pause?wait=20")
        wait_for(lambda: server.get(f"{place}/status")[1]["completion"] == "REQUESTING PAUSE")
        gate.touch()

    assert waiting.result()[0] == 200
    assert waiting.result()[1]["completion"] == "COMPLETED"


def test_a_cancel_takes_effect_after_the_step_in_hand(server: Server) -> None:
    place, gate = server.start_at_gate("cancelling")

    requested = server.post(f"{place}/cancel")
    gate.touch()
    cancelled = server.wait_until(place, "CANCELLED")

    assert (requested[0], requested[1]["completion"]) == (202, "REQUESTING CANCEL")
    assert cancelled["result"] is None


def test_two_resumes_at_once_start_the_rest_once(server: Server) -> None:
    place = server.start("add-numbers", delay=0.01)
    server.post(f"{place}/pause?wait=20")

    with ThreadPoolExecutor() as people:
        answers = [people.submit(server.post, f"{place}/resume") for _ in range(8)]

    server.wait_until(place, "COMPLETED")
    statuses = [answer.result()[0] for answer in answers]
    assert statuses.count(202) <= 1
    assert {step["runs"] for step in server.get(f"{place}/steps")[1]["steps"]} == {1}


def test_starts_at_once_under_one_key_start_one_operation(server: Server) -> None:
    one, key = {"workflow": "add-numbers"}, {"Idempotency-Key": "at once"}

    with ThreadPoolExecutor(8) as people:
        answers = [people.submit(server.post, "/operations", one, **key) for _ in range(8)]

    statuses = [answer.result()[0] for answer in answers]
    assert sorted(statuses) == [200] * 7 + [202]
    assert len({answer.result()[1]["id"] for answer in answers}) == 1


def test_a_huge_body_in_chunks_is_refused_over_the_wire(server: Server) -> None:
    chunks = iter([b" " * 65536] * 17)

    status, said = server.ask("POST", "/operations", chunks, encode_chunked=True)

    assert (status, said["detail"]) == (413, "A body may have 1,048,576 bytes at the most.")


def test_a_connection_is_kept_for_the_next_request(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                received = connection.recv(65536)
                assert received, "the connection was closed"
                answer += received
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@on_postgresql_alone
def test_all_of_it_works_on_postgresql(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> None:
    with served_over_http(tmp_path, new_database(tmp_path), broker_url) as server:
        place, gate = server.start_at_gate("pausing")
        server.post(f"{place}/pause")
        gate.touch()
        paused = server.wait_until(place, "PAUSED", "COMPLETED", "FAILED")
        server.post(f"{place}/resume")
        ended = server.wait_until(place, "COMPLETED", "FAILED")

    assert (paused["completion"], paused["progress"]["done"]) == ("PAUSED", 1)
    assert (ended["completion"], ended["result"]) == ("COMPLETED", 1)
