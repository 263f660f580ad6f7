"""Supervision of the service's programs on one machine: start in order, restart on failure, stop in reverse."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol, Self

from pausable import clock
from pausable.config import masked
from pausable.errors import ProgramKeepsDying
from pausable.processes import tied_to
from pausable.texts import LINE, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType, TracebackType

    from pausable.config import Settings

    from .broker import EmbeddedBroker

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Some runners forward a Ctrl-C that the terminal also delivers: two within this time count as one.
_SAME_KEYPRESS = 0.5


class Wakeups:
    """Listens to the signals of this process while entered; enter it in the main thread."""

    def __init__(self) -> None:
        self.stop_requested = False
        self.impatient = False
        self._requested_at = 0.0

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before = {number: signal.signal(number, self._stop) for number in _STOPPING}
        # Without a Python handler, SIGCHLD is not written to the wake-up pipe.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _at: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """Wait for a signal, at most `seconds`."""
        if select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 512)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if not self.stop_requested:
            self.stop_requested, self._requested_at = True, clock.monotonic()
        elif number == signal.SIGINT and clock.monotonic() - self._requested_at > _SAME_KEYPRESS:
            self.impatient = True


_DEATHS_ALLOWED, _WITHIN_SECONDS = 5, 60.0
_READY_WITHIN = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
#: Maximum characters of a program's output line.
_LONGEST_LINE = 1024 * 1024


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Program:
    """A program to run.

    `is_ready` is polled until it is true; `patience` is the seconds from SIGTERM to SIGKILL; lines that contain
    `unsaid` are not shown.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = _always
    patience: float = 5.0
    unsaid: str | None = None


class Say(Protocol):
    """Prints one line of the program `name`."""

    def __call__(self, name: str, line: str) -> None:
        """Print it, from any thread; never raise."""


def lines_of(output: IO[str]) -> Iterator[str]:
    """Yield the lines that a program prints, truncated to the maximum."""
    while line := output.readline(_LONGEST_LINE):
        yield line
        while line and not line.endswith("\n"):
            line = output.readline(_LONGEST_LINE)


class Supervised:
    """A supervised program: at most one running process group, and when to start the next."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS_ALLOWED)
        self._due = 0.0
        self._was_ready = False

    @property
    def runs(self) -> bool:
        """Return whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def settled(self) -> bool:
        """Return whether it runs and has been ready, so that nothing is due."""
        return self.runs and self._was_ready

    def tend(self) -> None:
        """Start it if it is due, and handle its exit.

        Raises:
            ProgramKeepsDying: It exited too often to be started again.
        """
        if self._process is None:
            if clock.monotonic() >= self._due:
                self._start()
        elif self._process.poll() is not None:
            self._mourn(_ending(self._process.returncode))
        elif not self._was_ready and clock.monotonic() - self._started > _READY_WITHIN:
            self._mourn(f"by our hand, not ready after {_READY_WITHIN:g} s")

    def is_ready(self) -> bool:
        """Return whether it has been ready once; the next program need not wait any more."""
        self._was_ready = self._was_ready or (self.runs and self.program.is_ready())
        return self._was_ready

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill its process group, and print the remaining output."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join(timeout=1)

    def _start(self) -> None:
        # a session of its own: a terminal's Ctrl-C reaches the supervisor only, which stops programs in order
        self._process = subprocess.Popen(
            self.program.command,
            env={**os.environ, **self.program.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=tied_to(os.getpid()),  # from the main thread only: the kernel ties it to the thread
        )
        self._started = clock.monotonic()
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _pass_on(self, output: IO[str]) -> None:
        with output:
            for line in lines_of(output):
                if self.program.unsaid is None or self.program.unsaid not in line:
                    self._say(self.program.name, line.rstrip("\n"))

    def _mourn(self, ending: str) -> None:
        self.kill()  # processes that it started may have outlived it
        self._process = None
        self._deaths.append(clock.monotonic())
        recent = [moment for moment in self._deaths if clock.monotonic() - moment < _WITHIN_SECONDS]
        if len(recent) >= _DEATHS_ALLOWED:
            raise ProgramKeepsDying(self.program.name, len(recent), ending)
        wait = min(_FIRST_WAIT * 2 ** (len(recent) - 1), _LONGEST_WAIT)
        self._due = clock.monotonic() + wait
        self._say(self.program.name, f"ended {ending}: starting again in {wait:g} s")


def _ending(status: int) -> str:
    return f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


#: The package of the service: `app` in a clone, `pausable.app` where it is installed.
_SERVICE: Final = __package__.rpartition(".")[0]
#: 64 threads for requests, and one for each stream.
_WEB_THREADS = 64 + 232
#: Seconds for a worker to release its claims after the grace period.
_ENDING = 3.0
_EXAMPLE = '{"workflow": "add-numbers", "arguments": {"start": 1}}'
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is compared with, not bound to


def programs_of(settings: Settings, embedded: EmbeddedBroker | None) -> tuple[Program, ...]:
    """Return the programs in start order: the embedded broker if any, the worker, the web server."""
    broker = () if embedded is None else (_broker(embedded),)
    environ = {"PYTHONUNBUFFERED": "1"} | ({} if embedded is None else {"BROKER_URL": embedded.url})
    worker = Program("worker", worker_command(settings), environ, patience=settings.grace + _ENDING)
    web = Program("web", web_command(settings), environ, lambda: _is_ready(settings), patience=6)
    return (*broker, worker, web)


def worker_command(settings: Settings) -> tuple[str, ...]:
    """Return the command of a worker that prefetches one message and uses no gossip."""
    options = f"--concurrency {settings.workers} --pool prefork --prefetch-multiplier 1 --loglevel {settings.log_level}"
    quiet = "--without-gossip --without-mingle --without-heartbeat"
    return (
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        f"{_SERVICE}.worker:celery",
        "worker",
        *options.split(),
        *quiet.split(),
    )


def web_command(settings: Settings) -> tuple[str, ...]:
    """Return the command of a web server with one process and many threads, since requests may wait for a pause."""
    options = f"--workers 1 --threads {_WEB_THREADS} --no-control-socket"
    configured = ("--config", f"python:{_SERVICE}.web.gunicorn_settings", "--log-level", settings.log_level.lower())
    where = ("--bind", f"{_in_url(settings.host)}:{settings.port}")
    logger = ("--logger-class", f"{_SERVICE}.web.server.JsonLogger") if settings.log_format == "json" else ()
    return (sys.executable, "-m", "gunicorn", f"{_SERVICE}.wsgi:app", *where, *configured, *options.split(), *logger)


def address_of(settings: Settings) -> str:
    """Return the address of the service for a browser on this machine."""
    return f"http://{_in_url(_reachable(settings.host))}:{settings.port}{_mounted_at()}"


def announcement(settings: Settings, token: Path | None) -> str:
    """Return what to print at the start: the address, the token's file, and an example command."""
    return f"""
The service is ready: {address_of(settings)}
{token_sentence(token)}{_line_to_paste(settings, token) if token else ""}
Ctrl-C stops everything; nothing is lost.
"""


def token_sentence(token: Path | None) -> str:
    """Return where the first user's token is stored, if it is."""
    if token is None:
        return "The first user's token is kept no more; `flask users add NAME` makes another user."
    return f"The first user's token is kept in {_near(token)}."


def _line_to_paste(settings: Settings, token: Path) -> str:
    authorization = f'-H "Authorization: Bearer $(cat {shlex.quote(str(_near(token)))})"'
    content = f"-H 'Content-Type: application/json' -d '{_EXAMPLE}'"
    return f" Start an operation:\n\ncurl -s -X POST {authorization} {content} {address_of(settings)}/operations\n"


def _near(path: Path) -> Path:
    """Return the path relative to the working directory if possible."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _broker(embedded: EmbeddedBroker) -> Program:
    # Hide the server's advice on memory overcommit, which concerns data that must not be lost.
    return Program("broker", embedded.command, is_ready=embedded.answers, patience=3, unsaid="Memory overcommit")


def _mounted_at() -> str:
    """Return the URL prefix of the web server: gunicorn takes SCRIPT_NAME from its environment."""
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


_WHILE_STARTING, _WHILE_SETTLED = 0.05, 5.0
#: Maximum characters of a JSON line; the program that wrote it has cut its texts.
_OBJECT = 8 * LINE
_printing = threading.Lock()


def say(name: str, line: str) -> None:
    """Print a line with its program's name, and passwords masked."""
    _print(f"{name:<8}| {cut(masked(line), LINE)}")


def say_as_json(name: str, line: str) -> None:
    """Print a JSON line as it is, and any other as the event of an object with its program's name."""
    if line.startswith("{") and len(line) <= _OBJECT:
        _print(masked(line))
    elif line.strip():
        moment = datetime.fromtimestamp(clock.now(), UTC).isoformat()
        _print(json.dumps({"timestamp": moment, "level": "info", "program": name, "event": cut(masked(line), LINE)}))


def _print(line: str) -> None:
    with _printing, contextlib.suppress(OSError):  # the reader may have gone
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def supervise(programs: Sequence[Program], announce: Callable[[], None], say: Say = say) -> int:
    """Run the programs until a stop signal, calling `announce` once all are ready; return the exit status.

    The status is 0 after a requested stop and 1 if a program kept exiting.
    """
    with Wakeups() as wakeups:
        return Supervision(programs, announce, wakeups, say).run()


class Supervision:
    """The programs of one run, in start order."""

    def __init__(
        self, programs: Sequence[Program], announce: Callable[[], None], wakeups: Wakeups, say: Say = say
    ) -> None:
        self._say = say
        self._members = [Supervised(program, say) for program in programs]
        self._announce = announce
        self._announced = False
        self._wakeups = wakeups

    def run(self) -> int:
        """Keep the programs running until a stop is requested or one keeps exiting, then stop them all."""
        try:
            while not self._wakeups.stop_requested:
                self._tend()
                self._wakeups.wait(self._until_something_is_due())
        except ProgramKeepsDying as fact:
            self._say("run", str(fact))
            return 1
        finally:
            self._stop()
        return 0

    def _tend(self) -> None:
        for member in self._members:
            member.tend()
            if not member.is_ready():
                return
        if not self._announced:
            self._announced = True
            self._announce()

    def _until_something_is_due(self) -> float:
        return _WHILE_SETTLED if all(member.settled for member in self._members) else _WHILE_STARTING

    def _stop(self) -> None:
        self._say("run", "stopping; Ctrl-C again stops at once")
        for member in reversed(self._members):
            member.terminate()
            self._await_end(member)
            member.kill()
        self._say("run", "stopped")

    def _await_end(self, member: Supervised) -> None:
        deadline = clock.monotonic() + member.program.patience
        while member.runs and clock.monotonic() < deadline and not self._wakeups.impatient:
            self._wakeups.wait(_WHILE_STARTING)
        if member.runs:
            self._say("run", f"{member.program.name} has not ended by itself: killing it")
