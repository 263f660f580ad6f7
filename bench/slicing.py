"""What a slice in the calling process costs beside its steps: a document is read, believed, and the next is written."""

from __future__ import annotations

import json
from timeit import repeat
from typing import TYPE_CHECKING, Final

from bench.figure import Figure, Spread, at_most, compared
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.service.transfer import advance, believed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.bed import Bed
    from pausable.workflows.registry import Workflows

_FEW: Final = 100
_KEYS: Final = Keys(["k" * 32])
_ONE: Final = Budget(steps=1)


def slices(bed: Bed) -> Iterator[Figure]:
    """Documents of chains of which one step has run."""
    many = bed.scale.long_chain
    with bed.service() as service:
        workflows = service.commands.workflows
        few, long = _document(workflows, _FEW), _document(workflows, many)
        what = "a document: decode, verify, encode"
        short = _milliseconds(lambda: _through(few), bed.scale.repeats)
        yield Figure(f"{what}, {_FEW} remaining steps", "ms", Spread.of(short), at_most(5), note=f"{len(few):,} bytes")
        each = [one / many for one in _milliseconds(lambda: _through(long), bed.scale.rounds)]
        beside = [one / _FEW for one in short[: len(each)]]
        yield compared(f"{what}: for each of {many:,} steps", "ms", (each, beside), f"of {_FEW}", at_most(2))
        for content, steps in ((few, _FEW), (long, many)):
            whole = _milliseconds(lambda: advance(content, _ONE, workflows, _KEYS), bed.scale.rounds)  # noqa: B023
            yield Figure(f"advance by one no-op step, {steps:,} remaining steps", "ms", Spread.of(whole))


def _document(workflows: Workflows, steps: int) -> bytes:
    by_hand = json.dumps({"workflow": "bench-chain", "arguments": {"length": steps + 1}}).encode()
    return _KEYS.sealed(advance(by_hand, _ONE, workflows, Keys()))


def _through(content: bytes) -> None:
    _KEYS.sealed(believed(content, _KEYS))


def _milliseconds(work: Callable[[], object], times: int) -> list[float]:
    work()
    return [1000 * one for one in repeat(work, number=1, repeat=times)]
