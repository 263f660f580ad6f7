"""How long a pause and a resume take, with steps of 50 ms, asked for by commands and over HTTP."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from bench.figure import Figure, Spread, at_most, percentile
from bench.flows import PIECE
from bench.http import Caller
from bench.programs import until
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.bed import Bed
    from bench.service import Service

_NAP = 0.05
_STEPS, _MANY_STEPS = 20, 1000
_QUIET = 0.02  # seconds for which a paused operation is watched before it is resumed


class Steering(ABC):
    """A way to pause and resume one operation."""

    @abstractmethod
    def pause(self) -> None:
        """Ask for a pause; returns with the answer."""

    @abstractmethod
    def resume(self) -> None:
        """Ask it to go on; returns with the answer."""

    @abstractmethod
    def is_paused(self) -> bool:
        """Whether it stands PAUSED."""


class ByCommand(Steering):
    """Calls the commands in this process."""

    def __init__(self, service: Service, operation_id: int) -> None:
        self._service, self._id, self._user = service, operation_id, service.user

    def pause(self) -> None:
        """Ask for a pause."""
        self._service.commands.pause(self._user, self._id)

    def resume(self) -> None:
        """Ask it to go on."""
        self._service.commands.resume(self._user, self._id)

    def is_paused(self) -> bool:
        """Whether it stands PAUSED, asked of the table."""
        return self._service.completion_of(self._id) is Completion.PAUSED


class ByHttp(Steering):
    """Calls the web server on a connection that stays open."""

    def __init__(self, service: Service, operation_id: int) -> None:
        self._caller, self._path = Caller(service.settings.port), f"/operations/{operation_id}"

    def pause(self) -> None:
        """Ask for a pause."""
        self._expect(self._caller.call("POST", f"{self._path}/pause"), {200, 202})

    def resume(self) -> None:
        """Ask it to go on."""
        self._expect(self._caller.call("POST", f"{self._path}/resume"), {200, 202})

    def is_paused(self) -> bool:
        """Whether it stands PAUSED, polled as a client polls."""
        answer = self._expect(self._caller.call("GET", f"{self._path}/status"), {200})
        return answer["completion"] == Completion.PAUSED

    @staticmethod
    def _expect(answer: tuple[int, dict[str, str]], statuses: set[int]) -> dict[str, str]:
        assert answer[0] in statuses, f"an unexpected answer: {answer}"
        return answer[1]


class Turn(NamedTuple):
    """One pause and the resume after it, in milliseconds: the pause less what was left of the running step."""

    paused: float
    resumed: float


def pause(bed: Bed) -> Iterator[Figure]:
    """Pause and resume operation after operation, each at a random moment; one of very many steps for information."""
    many = bed.scale.pauses
    with bed.service() as service:
        service.start_worker()
        yield from _figures("by command", _turns(service, many, ByCommand))
        long = _turns(service, many // 3, ByCommand, _MANY_STEPS)
        yield from (replace(one, target=None) for one in _figures(f"by command, {_MANY_STEPS:,} steps", long))
        service.start_web()
        yield from _figures("over HTTP", _turns(service, many, ByHttp))


def inside(bed: Bed) -> Iterator[Figure]:
    """Pause a step of an hour at its cursor, and without waiting for that, each at a random moment, and resume it."""
    with bed.service() as service:
        service.start_worker()
        for how, now in (("at its cursor", False), ("that is due now", True)):
            turns = [_inside(service, now=now) for _ in range(max(1, bed.scale.pauses // 3))]
            what = f"pause {how}, inside a step of an hour"
            paused, again = ([one[place] for one in turns] for place in (0, 1))
            yield Figure(f"{what}: call to PAUSED", "ms", Spread.of(paused), at_most(1500), note=f"of {len(turns)}")
            yield Figure(f"{what}: work that is done again", "ms", Spread.of(again), at_most(1000))


def _inside(service: Service, *, now: bool) -> tuple[float, float]:
    """Milliseconds from the call to PAUSED, and of the work that the resumed step does again."""
    service.journal.unlink(missing_ok=True)
    operation_id = service.start_many(1, "bench-long")[0]
    until(lambda: _times(service.journal, "piece"), "the step is at work")
    time.sleep(random.uniform(1, 3))
    called = time.monotonic()
    service.commands.pause(service.user, operation_id, now=now)
    steering = ByCommand(service, operation_id)
    until(steering.is_paused, "the operation is PAUSED", pause=0.0005)
    paused = time.monotonic() - called
    done = len(_times(service.journal, "piece"))
    steering.resume()
    until(lambda: len(_times(service.journal, "from")) == 2, "the step goes on")
    place = int(service.journal.read_text().split("from-")[2].split()[0])
    service.commands.cancel(service.user, operation_id)
    service.await_all([operation_id], Completion.CANCELLED)
    return 1000 * paused, 1000 * (done - place) * PIECE


def _figures(how: str, turns: list[Turn]) -> Iterator[Figure]:
    paused, resumed = [turn.paused for turn in turns], [turn.resumed for turn in turns]
    for what, taken in (
        (f"pause {how}: answer to PAUSED, beyond what was left of the step of 50 ms", paused),
        (f"resume {how}: call to the next step running", resumed),
    ):
        note = f"of {len(taken)}; nine tenths within {percentile(taken, 0.9):.1f} ms"
        yield Figure(what, "ms", Spread.of(taken), at_most(10), note=note)


def _turns(service: Service, many: int, way: type[ByCommand] | type[ByHttp], steps: int = _STEPS) -> list[Turn]:
    turns = []
    for _ in range(many):
        service.journal.unlink(missing_ok=True)
        operation_id = service.start_many(1, "bench-naps", length=steps, seconds=_NAP)[0]
        until(lambda: _times(service.journal, "start"), "the first step runs")
        turns.append(_turn(service.journal, way(service, operation_id)))
        service.commands.cancel(service.user, operation_id)
        service.await_all([operation_id], Completion.CANCELLED)
    return turns


def _turn(journal: Path, steering: Steering) -> Turn:
    time.sleep(random.uniform(0.5, 2.5) * _NAP)
    steering.pause()
    answered = time.monotonic()
    until(steering.is_paused, "the operation is PAUSED", pause=0.0005)
    paused = time.monotonic()
    ended = _times(journal, "end")[-1]
    time.sleep(_QUIET)
    called = time.monotonic()
    started_before = len(_times(journal, "start"))
    assert started_before == len(_times(journal, "end")), "a step ran while the operation was PAUSED"
    steering.resume()
    started = until(lambda: _times(journal, "start")[started_before:], "the next step runs", pause=0.001)[0]
    return Turn(1000 * (paused - max(answered, ended)), 1000 * (started - called))


def _times(journal: Path, what: str) -> list[float]:
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [float(line.split()[1]) for line in lines if line.startswith(what)]
