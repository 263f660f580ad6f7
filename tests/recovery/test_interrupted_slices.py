"""An exception that a signal raises anywhere in the engine: no step stays Running in a process that runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.model.states import ENDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]

#: Seconds until the timer rings: while one of the short steps runs, or while the engine writes how they ended.
MOMENTS = [0.01 + 0.002 * number for number in range(25)]


def test_an_operation_ends_wherever_in_the_engine_an_exception_was_raised(service: Service, employ: Employ) -> None:
    employ(processes=2)

    operations = [service.start("interrupted", seconds=moment, steps=300) for moment in MOMENTS]

    assert {service.ended(operation).completion for operation in operations} <= ENDED
    assert service.read("SELECT count(*) FROM steps WHERE state = 'Running'") == [(0,)]
