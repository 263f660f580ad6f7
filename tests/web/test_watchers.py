"""Two hundred watch through one real web process: it goes on answering, and does not wait for them when it stops."""

from __future__ import annotations

import http.client
import json
import signal
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from app.supervisor.broker import free_port
from app.supervisor.supervision import web_command
from app.web.console.session import COOKIE
from app.web.stream import PLACES
from pausable.db.users import digest_of, user_of_token
from tests.execution.pausing import in_database
from tests.programs import running
from tests.web.serving import DEADLINE, ROOT, Served, serving, token_of, wait_for
from tests.web.visiting import Visitor

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pausable.db.users import User
    from tests.conftest import NewDatabase

#: Seconds that the server would give its requests to end: more than a test waits.
_GRACE = 600
ADA = {"Authorization": f"Bearer {token_of('ada')}"}


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, in_database(broker_url, 5), database_url=new_database(tmp_path), port=free_port()) as served:
        yield served


@pytest.fixture
def server(served: Served) -> Iterator[subprocess.Popen[bytes]]:
    """The web server as `make run` starts it, in the folder of the project."""
    command = [*web_command(served.settings), "--graceful-timeout", str(_GRACE)]
    with (
        (served.settings.data_dir / "web.log").open("wb") as log,
        running(command, cwd=ROOT, env=served._environ(), stdout=log, stderr=log) as program,
    ):
        wait_for(lambda: answers(served), served.told)
        yield program


def answers(served: Served) -> bool:
    try:
        return ask(served, "/healthz").status == 200
    except OSError:
        return False


def ask(served: Served, address: str, **headers: str) -> http.client.HTTPResponse:
    """The answer, of which the body is still to be read; whoever closes it closes the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", served.settings.port, timeout=DEADLINE)
    said = {"Authorization": f"Bearer {token_of('bob')}", **headers}
    connection.request("GET", address, headers=said | {"Connection": "close"})
    return connection.getresponse()


def watch(served: Served, operation_id: int, **headers: str) -> http.client.HTTPResponse:
    return ask(served, f"/operations/{operation_id}/events", Accept="text/event-stream", **headers)


def until(stream: http.client.HTTPResponse, words: str) -> None:
    """Read on until a line has these words."""
    while words not in (line := stream.readline().decode()):
        assert line, f"the stream ended before {words}"


def started(served: Served) -> int:
    return served.commands.start(bob(served), "three", {})[0].operation.id


def bob(served: Served) -> User:
    with served.commands.engine.database.glance() as tx:
        user = user_of_token(tx, digest_of(token_of("bob")))
    assert user
    return user


def test_two_hundred_watch_and_the_server_answers_beside_them(served: Served, server: subprocess.Popen[bytes]) -> None:
    operation = started(served)
    with ExitStack() as watching:
        streams = [watching.enter_context(closing(watch(served, operation))) for _ in range(PLACES)]
        for stream in streams:
            until(stream, "SCHEDULED")

        refused = watch(served, operation)
        assert (refused.status, json.loads(refused.read())["title"]) == (503, "No more streams can be opened just now")
        streams.append(watching.enter_context(closing(watch(served, operation, **ADA))))
        with closing(ask(served, f"/operations/{operation}")) as answer:
            assert json.loads(answer.read())["completion"] == "SCHEDULED"

        served.commands.pause(bob(served), operation, reason="lunch")
        for stream in streams:
            until(stream, "lunch")

        for stream in streams[-2:]:
            stream.close()
        wait_for(lambda: is_let_in(served, operation))
        server.send_signal(signal.SIGINT)
        ends_with(server, streams[:-2])


def is_let_in(served: Served, operation: int) -> bool:
    """Whether there is room, once something was written to whoever has gone."""
    served.commands.resume(bob(served), operation)
    served.commands.pause(bob(served), operation)
    with closing(watch(served, operation)) as stream:
        return stream.status == 200


def test_a_server_that_is_to_stop_waits_for_no_stream(served: Served, server: subprocess.Popen[bytes]) -> None:
    operation = started(served)
    with ExitStack() as watching:
        streams = [watching.enter_context(closing(watch(served, operation))) for _ in range(20)]
        for stream in streams:
            until(stream, "SCHEDULED")

        server.terminate()

        ends_with(server, streams)


def ends_with(server: subprocess.Popen[bytes], streams: Iterable[http.client.HTTPResponse]) -> None:
    """That each stream ends, and then the server: those who read on to the end close the connection, as browsers do."""
    for stream in streams:
        stream.read()
        stream.close()
    assert server.wait(DEADLINE) == 0


def test_windows_that_were_closed_make_room_for_others_of_the_same_browser(
    served: Served, server: subprocess.Popen[bytes]
) -> None:
    cookie = Visitor.signed_in(served, "bob").client.get_cookie(COOKIE, path="/console")
    assert cookie is not None
    browser = {"Cookie": f"{COOKIE}={cookie.value}", "Authorization": "", "Accept": "text/event-stream"}
    for _ in range(3):
        windows = [ask(served, "/console/operations/stream", **browser) for _ in range(4)]
        assert [window.status for window in windows] == [200] * 4
        assert ask(served, "/console/operations/stream", **browser).status == 503
        for window in windows:
            window.close()
