"""A real RabbitMQ server that the tests start where this machine has one; see docs/failures.md."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest
from kombu import Connection, Consumer, Queue

from app.supervisor.broker import free_port
from tests.deadlines import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REMEDY: Final = "install it (Debian: apt install rabbitmq-server), or let RABBITMQ name its program"
#: Debian's program on the PATH becomes another user before it starts this one.
_PLACES: Final = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
#: Milliseconds between two looks of the server at what its consumers keep; its default is a minute.
_LOOK: Final = 500


def find_rabbitmq() -> str | None:
    """Return the program: what `RABBITMQ` names, else the one that this machine has."""
    places = (named,) if (named := os.environ.get("RABBITMQ")) else _PLACES
    return next((found for place in places if (found := shutil.which(place))), None)


@contextmanager
def running_rabbitmq(folder: Path, *, consumer_timeout: float = 1800) -> Iterator[str]:
    """Run a server inside the block, on loopback only; skip the test where there is none.

    Args:
        folder: Where its data and its log lie.
        consumer_timeout: Seconds after which it closes the channel of a consumer that has not acknowledged a message.

    Returns:
        Its URL.
    """
    program, names = find_rabbitmq(), shutil.which("epmd")
    if program is None or names is None:
        pytest.skip(f"there is no RabbitMQ: {REMEDY}")
    folder.mkdir()
    port, names_port = free_port(), free_port()
    environ = _environ(folder, port, names_port, consumer_timeout)
    with (folder / "out").open("ab") as out:
        # The server would start one that outlives it.
        register = [names, "-address", "127.0.0.1", "-port", str(names_port)]
        with subprocess.Popen(register, stdout=out, stderr=out) as registry:
            server = subprocess.Popen(
                [program], env=environ, cwd=folder, stdout=out, stderr=out, start_new_session=True
            )
            url = f"amqp://guest:guest@127.0.0.1:{port}//"
            try:
                _wait_for(url, server, folder)
                yield url
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
                server.wait(WAIT)
                registry.kill()


def wait_for_consumer_timeout(url: str) -> None:
    """Keep a message of one's own unacknowledged until the server closes the channel for it."""
    queue = Queue("kept-too-long", auto_delete=True)
    with Connection(url, heartbeat=0) as connection:
        connection.Producer().publish("a message", routing_key=queue.name, declare=[queue])
        with Consumer(connection, [queue], callbacks=[lambda *_: None]), pytest.raises(connection.channel_errors):
            _drain(connection)


def _drain(connection: Connection) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with suppress(TimeoutError):
            connection.drain_events(timeout=1)


def _environ(folder: Path, port: int, names_port: int, consumer_timeout: float) -> Mapping[str, str]:
    (folder / "rabbitmq.conf").write_text(f"consumer_timeout = {consumer_timeout * 1000:.0f}\n")
    arguments = f"-rabbit channel_tick_interval {_LOOK} -kernel inet_dist_use_interface {{127,0,0,1}}"
    return {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "ERL_CRASH_DUMP": str(folder / "crash"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_NODENAME": f"tests-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments,
    }


def _wait_for(url: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + WAIT
    while True:
        try:
            with Connection(url, connect_timeout=1) as connection:
                connection.connect()
        except OSError:
            assert server.poll() is None, (folder / "out").read_text()
            assert time.monotonic() < until, (folder / "out").read_text()
            time.sleep(0.05)
        else:
            return
