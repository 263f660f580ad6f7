"""The supervisor's promises, proven with real processes that stand in for the broker, the worker and the web server."""

from __future__ import annotations

import codecs
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from app.supervisor.supervision import say
from tests.supervisor.conftest import is_alive, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.supervisor.conftest import Supervisor

if TYPE_CHECKING:
    Start = Callable[..., Supervisor]


def stays(name: str, **more: Any) -> dict[str, Any]:
    """A program that notes its start, and its end when it is asked to end."""
    script = (
        f'echo $$ > "$HERE/{name}.pid"; echo {name}-starts >> "$JOURNAL"; '
        f"trap 'echo {name}-ends >> \"$JOURNAL\"; exit 0' TERM; while :; do sleep 0.05; done"
    )
    return {"name": name, "script": script, **more}


def deaf(name: str, **more: Any) -> dict[str, Any]:
    """A program that does not end when it is asked to."""
    script = f"trap '' TERM INT; echo $$ > \"$HERE/{name}.pid\"; echo deaf; while :; do sleep 0.05; done"
    return {"name": name, "script": script, **more}


def test_a_program_starts_only_when_the_one_before_it_is_ready(supervised: Start, tmp_path: Any) -> None:
    first = stays("first", ready=str(tmp_path / "open"))

    supervisor = supervised(first, stays("second"))
    until(lambda: supervisor.journal() == ["first-starts"], "the first one runs")
    assert not supervisor.says("all are ready")
    (tmp_path / "open").touch()

    until(lambda: supervisor.says("all are ready"), "all are ready")
    until(lambda: supervisor.journal() == ["first-starts", "second-starts"], "the second one runs")


def test_what_a_program_prints_comes_out_under_its_name_with_passwords_masked(supervised: Start) -> None:
    talker = {"name": "talker", "script": "echo connected to redis://:hunter2@127.0.0.1:1/0; exec sleep 60"}

    supervisor = supervised(talker)

    until(lambda: supervisor.says("talker  | connected to redis://:***@127.0.0.1:1/0"), "its line is there")
    assert not supervisor.says("hunter2")


def test_a_program_that_is_killed_is_started_again(supervised: Start) -> None:
    supervisor = supervised(stays("worker"))
    until(lambda: supervisor.says("all are ready"), "it runs")
    until(lambda: len(supervisor.journal()) == 1, "it noted its start")

    os.kill(supervisor.pid_of("worker"), signal.SIGKILL)

    until(lambda: supervisor.journal() == ["worker-starts"] * 2, "it has started twice")
    assert supervisor.says("worker  | ended by SIGKILL: starting again in 0.25 s")


def test_what_a_dead_program_had_started_is_ended_before_it_starts_again(supervised: Start) -> None:
    parent = {
        "name": "parent",
        "script": 'sleep 60 & echo $! > "$HERE/child.pid"; echo x >> "$JOURNAL"; echo $$ > "$HERE/parent.pid"; wait',
    }
    supervisor = supervised(parent)
    until(lambda: len(supervisor.journal()) == 1 and (supervisor.folder / "parent.pid").exists(), "it runs")
    child = supervisor.pid_of("child")

    os.kill(supervisor.pid_of("parent"), signal.SIGKILL)

    until(lambda: len(supervisor.journal()) == 2, "it has started twice")
    assert not is_alive(child)


def test_a_program_that_keeps_dying_is_given_up_and_everything_stops(supervised: Start) -> None:
    supervisor = supervised(stays("broker"), {"name": "worker", "script": "exit 3"})

    assert supervisor.ended() == 1

    assert supervisor.says("worker ended 5 times within a minute, at last with status 3: giving up.")
    assert supervisor.journal() == ["broker-starts", "broker-ends"]


def test_programs_stop_in_the_opposite_order(supervised: Start) -> None:
    supervisor = supervised(stays("broker"), stays("worker"), stays("web"))
    until(lambda: len(supervisor.journal()) == 3, "all run")

    supervisor.process.send_signal(signal.SIGTERM)

    assert supervisor.ended() == 0
    assert supervisor.journal()[3:] == ["web-ends", "worker-ends", "broker-ends"]


def test_a_program_that_does_not_end_in_time_is_killed(supervised: Start) -> None:
    supervisor = supervised(deaf("worker", patience=0.2))
    until(lambda: supervisor.says("worker  | deaf"), "it runs")

    supervisor.process.send_signal(signal.SIGTERM)

    assert supervisor.ended() == 0
    assert supervisor.says("worker has not ended by itself: killing it")
    assert not is_alive(supervisor.pid_of("worker"))


def test_a_second_ctrl_c_kills_at_once(supervised: Start) -> None:
    supervisor = supervised(deaf("worker", patience=3600), deaf("web", patience=3600))
    until(lambda: supervisor.says("web     | deaf"), "all run")

    def interrupt_until_it_ends() -> bool:
        supervisor.process.send_signal(signal.SIGINT)
        return supervisor.process.poll() is not None

    until(interrupt_until_it_ends, "it has ended")

    assert not is_alive(supervisor.pid_of("worker"))
    assert not is_alive(supervisor.pid_of("web"))


def test_no_program_outlives_a_supervisor_that_is_killed(supervised: Start) -> None:
    supervisor = supervised(deaf("broker"), deaf("worker"))
    until(lambda: supervisor.says("worker  | deaf"), "all run")

    supervisor.process.kill()

    until(lambda: not is_alive(supervisor.pid_of("broker")), "the broker has ended")
    until(lambda: not is_alive(supervisor.pid_of("worker")), "the worker has ended")


def test_a_closed_terminal_stops_everything(supervised: Start) -> None:
    supervisor = supervised(stays("worker"))
    until(lambda: len(supervisor.journal()) == 1, "it runs")

    supervisor.process.send_signal(signal.SIGHUP)

    assert supervisor.ended() == 0
    assert supervisor.journal() == ["worker-starts", "worker-ends"]


def test_a_line_that_nobody_can_read_any_more_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb", buffering=0) as gone:
        monkeypatch.setattr(sys, "stdout", codecs.getwriter("utf-8")(gone))

        say("worker", "hello")

        with pytest.raises(BrokenPipeError):
            gone.write(b"hello")
