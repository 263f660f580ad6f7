"""The clauses that the engine's rules stand on, each of which the model can leave out; and what a move is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tests.model.state import State

EVERYBODY: Final = frozenset({"command", "refusal", "settle", "loss", "confirmation", "sweep"})


@dataclass(frozen=True)
class Rules:
    """The clauses that the engine stands on; a test leaves one out to see what becomes of an operation then."""

    losing_raises_the_claim: bool = True
    settling_asks_for_the_state: bool = True
    silence_proves_nothing: bool = True
    withdrawing_releases: bool = True
    #: Who ends a requested pause or cancel once nothing runs.
    drained_by: frozenset[str] = EVERYBODY
    pausing_is_guarded: bool = True
    claiming_is_guarded: bool = True
    sweeping_publishes: bool = True
    sweeping_expires: bool = True


class Move(NamedTuple):
    """Something that happens: sooner or later by itself where it is owed, else as often as the budget has it."""

    name: str
    actor: int
    step: int
    after: State
    is_owed: bool = True
