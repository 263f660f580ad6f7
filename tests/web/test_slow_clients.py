"""Clients that send or read slowly hold nobody up: a real web server, and connections that do as little as they can."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from app.supervisor.broker import free_port
from tests.execution.pausing import in_database
from tests.web.serving import ROOT, Served, serving, token_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Few, so that few connections would take them all.
THREADS = 8
CONFIG = ROOT / "gunicorn.conf.py"


@pytest.fixture(scope="module")
def served(migrated_file: Path, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service, whose web server runs."""
    folder, port = tmp_path_factory.mktemp("slow"), free_port()
    (folder / "operations.db").write_bytes(migrated_file.read_bytes())
    gunicorn = ["gunicorn", "wsgi:app", "--config", str(CONFIG), "--bind", f"127.0.0.1:{port}"]
    with (
        serving(folder, in_database(broker_url, 4), port=port) as served,
        served.running(*gunicorn, "--threads", str(THREADS), "--no-control-socket"),
    ):
        wait_for(lambda: is_alive(port), served.told)
        yield served


@pytest.fixture(scope="module")
def port(served: Served) -> int:
    """Where it listens."""
    return served.settings.port


def is_alive(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except OSError:
        return False


def ask(port: int, method: str, target: str, body: object = None, *, timeout: float = 5) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"Bearer {token_of('bob')}", "Content-Type": "application/json"}
    with closing(connection):
        connection.request(method, target, body, headers)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, answer.read()


def connected(port: int, held: ExitStack, said: bytes = b"") -> socket.socket:
    client = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
    client.sendall(said)
    return client


def read_to_end(client: socket.socket) -> bytes:
    told = b""
    while part := client.recv(65536):
        told += part
    return told


POST = b"POST /operations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "begun",
    [b"G", POST + b"Content-Length: 100\r\n\r\n", POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b""],
    ids=["one byte", "no body", "half a chunk", "nothing"],
)
def test_requests_that_do_not_arrive_take_no_thread(port: int, begun: bytes) -> None:
    with ExitStack() as held:
        for _ in range(4 * THREADS):
            connected(port, held, begun)

        assert ask(port, "GET", "/healthz")[0] == 200
        assert ask(port, "GET", "/workflows")[0] == 200


def test_clients_that_keep_their_connection_and_then_begin_to_dawdle_take_no_thread(port: int) -> None:
    with ExitStack() as held:
        for _ in range(4 * THREADS):
            client = connected(port, held, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            client.sendall(b"G")

        assert ask(port, "GET", "/workflows")[0] == 200


def test_large_bodies_that_do_not_arrive_leave_threads_to_all_others(port: int) -> None:
    with ExitStack() as held:
        for _ in range(4 * THREADS):
            connected(port, held, POST + b"Content-Length: 1000000\r\n\r\n{")

        assert ask(port, "GET", "/workflows")[0] == 200


def test_clients_that_do_not_close_after_the_last_answer_hold_nobody_up(port: int) -> None:
    with ExitStack() as held:
        for _ in range(4 * THREADS):
            client = connected(port, held, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")

        assert ask(port, "GET", "/workflows")[0] == 200


def test_clients_that_do_not_read_what_anybody_may_ask_for_take_no_thread(port: int) -> None:
    with ExitStack() as held:
        for _ in range(4 * THREADS):
            client = held.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /openapi/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")

        assert ask(port, "GET", "/workflows")[0] == 200


def test_a_client_that_sends_nothing_more_loses_its_connection(port: int) -> None:
    with ExitStack() as held:
        silent = connected(port, held, POST + b"Content-Length: 100\r\n\r\n")

        assert read_to_end(silent).startswith(b"HTTP/1.1 408 ")


def test_of_one_address_only_so_many_requests_are_awaited_and_the_newest_one_is(port: int) -> None:
    with ExitStack() as held:
        clients = [connected(port, held, b"GET /healthz HTTP/1.1\r\n") for _ in range(130)]
        assert read_to_end(clients[0]) == b""

        clients[-1].sendall(b"Host: a\r\nConnection: close\r\n\r\n")

        assert read_to_end(clients[-1]).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [10, 70_000, 900_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_of_any_size_arrive_whole(port: int, size: int, is_chunked: bool) -> None:
    body = json.dumps({"workflow": "none such", "arguments": {"text": "x" * size}}).encode()
    parts = iter([body[at : at + 7000] for at in range(0, len(body), 7000)])

    status, said = ask(port, "POST", "/operations", parts if is_chunked else body, timeout=20)

    assert status == 404, said
    assert json.loads(said)["type"].endswith("workflow-unknown")


def test_a_body_is_asked_for_where_a_client_waits_for_that(port: int) -> None:
    with ExitStack() as held:
        client = connected(port, held, POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")

        client.sendall(b"{}")

        assert client.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_requests_that_come_together_or_byte_by_byte_are_answered_in_turn(port: int) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    with ExitStack() as held:
        client = connected(port, held, request + request[:20])
        for byte in request[20:]:
            client.sendall(bytes([byte]))
        client.sendall(request.replace(b"Host: a", b"Connection: close\r\nHost: a"))

        assert read_to_end(client).count(b"HTTP/1.1 200 OK") == 3


def test_a_head_that_never_ends_is_refused(port: int) -> None:
    with ExitStack() as held:
        client = connected(port, held, b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"x" * 70_000)

        assert client.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_what_a_proxy_says_is_not_believed_untold_though_it_comes_from_this_machine(port: int) -> None:
    with ExitStack() as held:
        client = connected(port, held, b"GET /console/sign-in HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")

        client.sendall(b"X-Forwarded-Proto: https\r\n\r\n")

        answer = read_to_end(client)
        assert b"\r\nSet-Cookie: " in answer
        assert b"Secure" not in answer


def test_workers_that_serve_one_request_at_a_time_are_refused(tmp_path: Path) -> None:
    command = ["gunicorn", "wsgi:app", "--config", str(CONFIG), "--bind", "127.0.0.1:0", "--threads", "1"]

    ended = subprocess.run(
        [sys.executable, "-m", *command, "--worker-class", "sync"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode != 0
    assert "worker class sync cannot serve streams" in ended.stderr


def test_a_client_that_does_not_take_a_large_answer_loses_its_connection(served: Served, port: int) -> None:
    body = {"workflow": "three", "arguments": {"value": "x" * 900_000}}
    status, told = ask(port, "POST", "/operations", json.dumps(body), timeout=30)
    assert status == 202, told
    place = json.loads(told)["links"]["self"].encode()
    with ExitStack() as held:
        client = held.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET " + place + b" HTTP/1.1\r\nHost: a\r\n")
        client.sendall(f"Authorization: Bearer {token_of('bob')}\r\n\r\n".encode())

        wait_for(lambda: "A client was too slow" in served.told(), served.told)

        assert len(read_to_end(client)) < 900_000
