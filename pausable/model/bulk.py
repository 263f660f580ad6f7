"""Bulk commands: which operations are meant, and which of them are still in the state that was meant."""

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
    """The commands for many operations; the texts of the column `bulks.verb`."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Standing(StrEnum):
    """The relation of an operation to a bulk command: meant, not meant, or meant but changed since."""

    MEANT = "meant"
    NOT_MEANT = "not meant"
    MOVED_ON = "moved-on"


#: States of the operations meant if none are given.
BY_DEFAULT: Final = MappingProxyType(
    {
        Verb.PAUSE: (_C.SCHEDULED, _C.IN_PROGRESS),
        Verb.RESUME: (_C.PAUSED, _C.REQUESTING_PAUSE),
        Verb.CANCEL: (_C.SCHEDULED, _C.IN_PROGRESS, _C.REQUESTING_PAUSE, _C.PAUSED),
    }
)
#: States that may be given: in any other state every operation would refuse the command.
_POSSIBLE: Final = MappingProxyType(
    {
        Verb.PAUSE: (_C.SCHEDULED, _C.IN_PROGRESS, _C.REQUESTING_PAUSE, _C.PAUSED),
        Verb.RESUME: BY_DEFAULT[Verb.RESUME],
        Verb.CANCEL: BY_DEFAULT[Verb.CANCEL],
    }
)
#: States that an operation reaches by itself, without another command.
_BY_ITSELF: Final = MappingProxyType({_C.SCHEDULED: _C.IN_PROGRESS, _C.REQUESTING_PAUSE: _C.PAUSED})


def completions_meant(verb: Verb, workflow: str | None, asked: Sequence[Completion]) -> tuple[Completion, ...]:
    """Return the states of the operations meant.

    Raises:
        BulkUnbounded: Neither a workflow nor a state is given: everything is not meant by default.
        BulkMisdirected: The command never changes operations in that state.
    """
    if workflow is None and not asked:
        raise BulkUnbounded(verb)
    wrong = [one for one in asked if one not in _POSSIBLE[verb]]
    if wrong:
        raise BulkMisdirected(verb, wrong[0], _POSSIBLE[verb])
    return tuple(dict.fromkeys(asked)) or BY_DEFAULT[verb]


def may_stand_now(meant: Iterable[Completion]) -> frozenset[Completion]:
    """Return the states in which operations can be that were in one of these."""
    stood = frozenset(meant)
    return stood | {_BY_ITSELF[one] for one in stood if one in _BY_ITSELF}


def standing(meant: Sequence[Completion], then: Completion | None, since: Sequence[Completion]) -> Standing:
    """Return the relation of an operation, from its state at the time of the command and its later ones."""
    if then is None or then not in meant:
        return Standing.NOT_MEANT
    is_as_it_was = not since or (len(since) == 1 and _BY_ITSELF.get(then) is since[0])
    return Standing.MEANT if is_as_it_was else Standing.MOVED_ON
