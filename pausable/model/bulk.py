"""Asking the same of many operations: which are meant, and which of them still stand as they were meant."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pausable.errors import BulkMisdirected, BulkUnbounded
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_C = Completion


class Verb(StrEnum):
    """What is asked of many operations; the exact texts of the column `bulks.verb`."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Standing(StrEnum):
    """How an operation stands to a bulk: meant by it, or no part of it, or meant and moved on since."""

    MEANT = "meant"
    NOT_MEANT = "not meant"
    MOVED_ON = "moved-on"


#: Where operations stand that are meant where nothing is said of that.
BY_DEFAULT: Final = MappingProxyType(
    {
        Verb.PAUSE: (_C.SCHEDULED, _C.IN_PROGRESS),
        Verb.RESUME: (_C.PAUSED, _C.REQUESTING_PAUSE),
        Verb.CANCEL: (_C.SCHEDULED, _C.IN_PROGRESS, _C.REQUESTING_PAUSE, _C.PAUSED),
    }
)
#: Where operations may stand that are meant: of any other, every one would refuse.
_POSSIBLE: Final = MappingProxyType(
    {
        Verb.PAUSE: (_C.SCHEDULED, _C.IN_PROGRESS, _C.REQUESTING_PAUSE, _C.PAUSED),
        Verb.RESUME: BY_DEFAULT[Verb.RESUME],
        Verb.CANCEL: BY_DEFAULT[Verb.CANCEL],
    }
)
#: Where an operation comes to by itself, without anybody having asked for anything new.
_BY_ITSELF: Final = MappingProxyType({_C.SCHEDULED: _C.IN_PROGRESS, _C.REQUESTING_PAUSE: _C.PAUSED})


def completions_meant(verb: Verb, workflow: str | None, asked: Sequence[Completion]) -> tuple[Completion, ...]:
    """Where the operations stand that are meant.

    Raises:
        BulkUnbounded: Neither a workflow nor a completion is named: so much is not asked for by leaving words out.
        BulkMisdirected: Operations that stand there are never changed by it.
    """
    if workflow is None and not asked:
        raise BulkUnbounded(verb)
    wrong = [one for one in asked if one not in _POSSIBLE[verb]]
    if wrong:
        raise BulkMisdirected(verb, wrong[0], _POSSIBLE[verb])
    return tuple(dict.fromkeys(asked)) or BY_DEFAULT[verb]


def may_stand_now(meant: Iterable[Completion]) -> frozenset[Completion]:
    """Where operations can be found that were meant when they stood at one of these."""
    stood = frozenset(meant)
    return stood | {_BY_ITSELF[one] for one in stood if one in _BY_ITSELF}


def standing(meant: Sequence[Completion], then: Completion | None, since: Sequence[Completion]) -> Standing:
    """How an operation stands to a bulk: where it stood when that was asked for, and where it has come to since."""
    if then is None or then not in meant:
        return Standing.NOT_MEANT
    is_as_it_was = not since or (len(since) == 1 and _BY_ITSELF.get(then) is since[0])
    return Standing.MEANT if is_as_it_was else Standing.MOVED_ON
