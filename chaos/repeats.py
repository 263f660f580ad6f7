"""What ran more often than it had to, why, and how long recovery took."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.evidence import Evidence
    from chaos.faults import Hit
    from chaos.ledger import Execution

#: Seconds for which a fault explains what becomes of its processes' work: the longest stop, the lease, and a slice.
_EFFECT: Final = 20.0
#: Moves of an operation that make a step wait for people instead of workers.
_WAITS_FOR_PEOPLE: Final = frozenset(
    {Completion.REQUESTING_PAUSE, Completion.PAUSED, Completion.REQUESTING_CANCEL, Completion.CANCELLED}
)


@dataclass
class Repeats:
    """Executions beyond the first of a turn, by what the one before them met."""

    #: The one before was cut short, or held, by a fault that hit its process.
    lost_workers: list[str] = field(default_factory=list)
    #: The one before had ended; its process was hit before the ending was written.
    lost_settles: list[str] = field(default_factory=list)
    #: Nothing that was done explains it.
    unexplained: list[str] = field(default_factory=list)


def repeats(evidence: Evidence) -> Repeats:
    """All that ran more often than once in one turn."""
    found = Repeats()
    for executions in _turns(evidence).values():
        for before, after in pairwise(executions):
            _kind(found, evidence, before, after).append(_told(evidence, before, after))
    return found


def _told(evidence: Evidence, before: Execution, after: Execution) -> str:
    """What ran twice, and what was broken between."""
    began = f"began at {before.begun:.3f} in {before.process.pid} of {before.worker and before.worker.pid}"
    hits = [
        f"{hit.at:.3f} {hit.kind} {sorted(one.pid for one in hit.processes)}"
        for hit in evidence.hits
        if before.begun - _EFFECT <= hit.at <= after.begun
    ]
    return (
        f"{after.step} of operation {after.operation_id} {began} (ended: {before.ended}) and again at "
        f"{after.begun:.3f} in {after.process.pid}; meanwhile: {', '.join(hits)}"
    )


def unexplained(evidence: Evidence) -> list[str]:
    """What ran again although nothing had happened to who ran it first."""
    return repeats(evidence).unexplained


@dataclass(frozen=True)
class Recovery:
    """A step that a fault took from its worker: the seconds from that fault until it was queued again, and recorded."""

    queued_after: float
    recorded_after: float


def recoveries(evidence: Evidence) -> list[Recovery]:
    """All that were taken and recovered, but for those that people paused or cancelled meanwhile."""
    recorded = {(one.operation_id, one.step): one.at for one in evidence.recordings}
    return [
        Recovery(_queued(evidence, key, hit.at) - hit.at, recorded[key] - hit.at)
        for key, hit in _held(evidence).items()
        if key in recorded and not _waited_for_people(evidence, key[0], hit.at, recorded[key])
    ]


def _queued(evidence: Evidence, key: tuple[int, str], since: float) -> float:
    return min((one.at for one in evidence.taken if one.key == key and one.at >= since), default=since)


def _turns(evidence: Evidence) -> dict[tuple[int, str, int, int], list[Execution]]:
    turns: dict[tuple[int, str, int, int], list[Execution]] = defaultdict(list)
    for one in sorted(evidence.executions, key=lambda one: one.begun):
        turns[one.turn].append(one)
    return turns


def _kind(found: Repeats, evidence: Evidence, before: Execution, after: Execution) -> list[str]:
    hits = [
        hit for hit in evidence.hits if before.is_hit(hit.processes) and before.begun - _EFFECT <= hit.at <= after.begun
    ]
    if not hits:
        return found.unexplained
    ended = before.ended
    was_held = ended is None or any(before.begun <= hit.at <= ended for hit in hits)
    had_ended = ended is not None and any(hit.at > ended for hit in hits)
    return found.lost_settles if had_ended and not was_held else found.lost_workers


def _held(evidence: Evidence) -> dict[tuple[int, str], Hit]:
    """The last fault that took each step from its worker, where somebody else ran it afterwards."""
    held: dict[tuple[int, str], Hit] = {}
    for executions in _turns(evidence).values():
        for before, after in pairwise(executions):
            for hit in _hits_on(evidence, before, after):
                held[before.operation_id, before.step] = hit
    return held


def _hits_on(evidence: Evidence, before: Execution, after: Execution) -> Iterator[Hit]:
    for hit in evidence.hits:
        is_its = before.is_hit(hit.processes) and before.process != after.process
        if is_its and before.begun <= hit.at <= after.begun:
            yield hit


def _waited_for_people(evidence: Evidence, operation_id: int, since: float, until: float) -> bool:
    moves = evidence.moves_of[operation_id]
    before = [move.new for move in moves if move.at < since][-1:]
    between = [move.new for move in moves if since <= move.at <= until]
    return not _WAITS_FOR_PEOPLE.isdisjoint(before + between)
