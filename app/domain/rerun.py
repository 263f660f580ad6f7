"""Which steps of an operation run again when it is retried, and what each of them waits for then."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from app.domain.states import BAD, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def steps_to_rerun(states: Mapping[int, StepState], edges: Sequence[tuple[int, int]]) -> set[int]:
    """What ended badly, and all that lies downstream of it: every other checkpoint is kept.

    `edges` are (upstream, downstream) pairs of the numbers that `states` is keyed by.
    """
    below: defaultdict[int, list[int]] = defaultdict(list)
    for upstream, downstream in edges:
        below[upstream].append(downstream)
    found: set[int] = set()
    ahead = [number for number, state in states.items() if state in BAD]
    while ahead:
        number = ahead.pop()
        if number not in found:
            found.add(number)
            ahead += below[number]
    return found


def counters(
    again: Iterable[int], states: Mapping[int, StepState], edges: Sequence[tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """For each step that runs again: how many of its upstreams do so too, and how many of the others were skipped."""
    rerun = set(again)
    waiting = Counter(down for up, down in edges if up in rerun)
    spoiled = Counter(down for up, down in edges if up not in rerun and states[up] is StepState.SKIPPED)
    return {number: (waiting[number], spoiled[number]) for number in rerun}
