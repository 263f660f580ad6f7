"""What a picture is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.domain.states import StepState

#: States from the one that people look for first to the one that they look for last.
_BY_INTEREST: Final = (
    "Failed", "Running", "Retrying", "Paused", "TriggerFailed", "Cancelled", "Queued", "Pending", "Skipped", "Cached",
    "Success",
)  # fmt: skip

#: How the steps of a box lie that was folded because there are too many: anyhow, in neighbouring layers.
LAYERS: Final = "layers"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step to be drawn; `seconds` is how long its last run took or takes, None while it has not begun."""

    number: int
    slug: str
    task: str
    state: StepState | None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """One box of the picture: a step, or several that were folded into one, and the boxes it waits for."""

    steps: tuple[Drawn, ...]
    upstream: tuple[int, ...] = ()
    #: How the steps of a folded box lie: one after the other ("line"), beside each other ("beside"), or in `LAYERS`.
    fold: str = field(default="")

    @property
    def label(self) -> str:
        """What is written in it."""
        first, many = self.steps[0], len(self.steps)
        if not self.fold:
            return first.slug
        names = list(dict.fromkeys(step.task for step in self.steps))
        name = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        return f"{many} \N{MULTIPLICATION SIGN} {name}"

    @property
    def state(self) -> str:
        """The state that it shows: of several, the one that people look for first."""
        states = {str(step.state or "Pending") for step in self.steps}
        return min(states, key=_BY_INTEREST.index)

    @property
    def seconds(self) -> float | None:
        """How long it took: one after the other in sum, beside each other the longest; of layers nobody knows."""
        known = [step.seconds for step in self.steps if step.seconds is not None]
        if not known or self.fold == LAYERS:
            return None
        return max(known) if self.fold == "beside" else sum(known)

    @property
    def counts(self) -> str:
        """How many of its steps stand where, the most interesting first."""
        found = Counter(str(step.state or "Pending") for step in self.steps)
        return ", ".join(f"{found[state]} {state}" for state in sorted(found, key=_BY_INTEREST.index))
