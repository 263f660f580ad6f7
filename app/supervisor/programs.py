"""The programs that make up the service on one machine, and what is told once they all run."""

from __future__ import annotations

import http.client
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.supervisor.processes import Program

if TYPE_CHECKING:
    from app.config import Settings
    from app.supervisor.embedded_broker import EmbeddedBroker

#: The folder of `gunicorn.conf.py`.
_ROOT: Final = Path(__file__).resolve().parents[2]
#: 64 that answer, and one for each stream that may be open.
_WEB_THREADS = 64 + 232
#: Seconds that a worker has, after its grace, to hand back what it held.
_ENDING = 3.0
_EXAMPLE = '{"workflow": "add-numbers", "arguments": {"start": 1}}'
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is compared with, not bound to


def programs_of(settings: Settings, embedded: EmbeddedBroker | None) -> tuple[Program, ...]:
    """What to start, in order: the embedded broker if there is one, the worker, the web server."""
    broker = () if embedded is None else (_broker(embedded),)
    environ = {"PYTHONUNBUFFERED": "1"} | ({} if embedded is None else {"BROKER_URL": embedded.url})
    worker = Program("worker", worker_command(settings), environ, patience=settings.grace + _ENDING)
    web = Program("web", web_command(settings), environ, lambda: _is_ready(settings), patience=6)
    return (*broker, worker, web)


def worker_command(settings: Settings) -> tuple[str, ...]:
    """A worker that takes one message at a time and does not talk to its neighbours."""
    options = f"--concurrency {settings.workers} --pool prefork --prefetch-multiplier 1 --loglevel {settings.log_level}"
    quiet = "--without-gossip --without-mingle --without-heartbeat"
    return (
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "worker:celery",
        "worker",
        *options.split(),
        *quiet.split(),
    )


def web_command(settings: Settings) -> tuple[str, ...]:
    """A web server of one process and many threads: a thread that waits for a pause holds up nobody."""
    options = f"--workers 1 --threads {_WEB_THREADS} --no-control-socket"
    configured = ("--config", str(_ROOT / "gunicorn.conf.py"), "--log-level", settings.log_level.lower())
    where = ("--bind", f"{_in_url(settings.host)}:{settings.port}")
    logger = ("--logger-class", "app.web.server_log.JsonLogger") if settings.log_format == "json" else ()
    return (sys.executable, "-m", "gunicorn", "wsgi:app", *where, *configured, *options.split(), *logger)


def address_of(settings: Settings) -> str:
    """Where a browser on this machine finds the service."""
    return f"http://{_in_url(_reachable(settings.host))}:{settings.port}{_mounted_at()}"


def announcement(settings: Settings, token: Path | None) -> str:
    """What a person needs to go on: the address, where the token is kept, and a line to paste."""
    return f"""
The service is ready: {address_of(settings)}
{token_sentence(token)}{_line_to_paste(settings, token) if token else ""}
Ctrl-C stops everything; nothing is lost.
"""


def token_sentence(token: Path | None) -> str:
    """Where the first user's token is kept, if it is."""
    if token is None:
        return "The first user's token is kept no more; `flask users add NAME` makes another user."
    return f"The first user's token is kept in {_near(token)}."


def _line_to_paste(settings: Settings, token: Path) -> str:
    authorization = f'-H "Authorization: Bearer $(cat {shlex.quote(str(_near(token)))})"'
    content = f"-H 'Content-Type: application/json' -d '{_EXAMPLE}'"
    return f" Start an operation:\n\ncurl -s -X POST {authorization} {content} {address_of(settings)}/operations\n"


def _near(path: Path) -> Path:
    """The path as one names it in the folder that the service was started in."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _broker(embedded: EmbeddedBroker) -> Program:
    # Advice on the machine's memory for servers whose data would be missed: this one's would not.
    return Program("broker", embedded.command, is_ready=embedded.answers, patience=3, unsaid="Memory overcommit")


def _mounted_at() -> str:
    """The prefix under which the web server answers: gunicorn takes SCRIPT_NAME from its environment."""
    return os.environ.get("SCRIPT_NAME", "").rstrip("/")


def _reachable(host: str) -> str:
    return _EVERYWHERE.get(host, host)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_ready(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=1)
    try:
        connection.request("GET", f"{_mounted_at()}/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
