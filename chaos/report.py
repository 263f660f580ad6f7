"""The figures of a run, as they are printed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from chaos.evidence import GIVEN_UP
from chaos.judge import MUST_BE_NONE
from chaos.repeats import recoveries, repeats
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chaos.run import Course

_TOLD = 5
_WIDTH = 46


def verdict(course: Course) -> dict[str, list[str]]:
    """What must be none, each with its cases."""
    evidence = course.evidence
    counted = {name: list(count(evidence)) for name, count in MUST_BE_NONE.items()}
    return counted | {
        "executions repeated without a fault": repeats(evidence).unexplained,
        "calls answered otherwise than they must be": course.refusals,
    }


def figures(course: Course) -> Iterator[str]:
    """What is worth knowing beside the verdict, a line for each."""
    evidence, again, taken = course.evidence, repeats(course.evidence), recoveries(course.evidence)
    ends = Counter(one.completion for one in evidence.operations)
    broken = Counter(hit.kind for hit in evidence.hits)
    yield _line("operations", f"{len(evidence.operations)} ({_counts(ends)})")
    yield _line("pauses that took effect", str(sum(move.new == Completion.PAUSED for move in evidence.moves)))
    yield _line("executions of steps", str(len(evidence.executions)))
    yield _line("extra, where a worker died or was stopped", str(len(again.lost_workers)))
    yield _line("extra, repeats of shared settles", str(len(again.lost_settles)))
    yield _line("given up: worker lost too often", str(sum(one.error_type == GIVEN_UP for one in evidence.operations)))
    yield _line("steps taken from a worker and recovered", str(len(taken)))
    yield _line("slowest until queued again", _slowest(one.queued_after for one in taken))
    yield _line("slowest recovery, until its end was recorded", _slowest(one.recorded_after for one in taken))
    yield _line("all came to an end after the last fault in", f"{course.settled_after:.1f} s")
    yield _line("faults", f"{len(evidence.hits)} ({_counts(broken)})")
    yield _line("faults that found nothing to break", str(len(course.missed)))
    yield _line("programs started again", _counts(course.deaths))
    answered = {str(status): number for status, number in sorted(course.statuses.items())}
    yield _line("HTTP answers", f"{_counts(answered)}; {course.unanswered} calls met no server")


def verdict_lines(cases: dict[str, list[str]]) -> Iterator[str]:
    """Each count, and the first cases of those that are not 0."""
    for name, found in cases.items():
        yield _line(name, str(len(found)) + ("" if not found else "   FAILED"))
        yield from (f"    {case}" for case in found[:_TOLD])


def _slowest(seconds: Iterable[float]) -> str:
    return f"{max(seconds, default=0.0):.1f} s after the fault"


def _counts(counted: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.items()) or "none"


def _line(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}}{value}"


def rows(told: dict[int, list[str]]) -> Sequence[str]:
    """All rows of the operations that are stuck."""
    return [f"\noperation {id_}:\n  " + "\n  ".join(lines) for id_, lines in told.items()]
