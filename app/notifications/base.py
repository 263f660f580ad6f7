"""What a notification is, and the contract of everything that delivers one."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, Final

from app.errors import ChangeUnknown, NotificationMalformed, TemplateMalformed
from app.notifications.addresses import checked_address
from app.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from app.domain.states import State

    #: What is known of a change, under the names that a template may use.
    Facts = Mapping[str, str | int]

#: The changes that may be told of: each is a predicate of State without its `is_`.
WORDS: Final = (
    "pending", "scheduled", "running", "retrying", "paused", "finished", "successful", "cached", "skipped", "failed",
    "cancelled",
)  # fmt: skip
#: What a template may show, with an example of each; `step` and `task` are empty for an operation itself, and
#: `start_time` for all that is not run again.
EXAMPLE: Final[Facts] = {
    "workflow": "monthly-report",
    "operation_id": 17,
    "step": "clean",
    "task": "reports.clean",
    "old_state": "Running",
    "state": "Failed",
    "message": "ZeroDivisionError: division by zero",
    "attempt": 1,
    "at": "2026-01-31 23:59:59 UTC",
    "start_time": "",
}
#: Digits of a width or a precision in a template at the most.
_WIDEST: Final = 3


@dataclass(frozen=True)
class Notification:
    """A message to people about a change of a step or of an operation: sent when it comes to stand so.

    `when` is one word of `WORDS`, or several. `to` is a URL, or the Secret that holds one. `text` is a template as
    `str.format` takes it, over the names of `EXAMPLE`; without one, a line tells what stands how, and why. Raises
    ChangeUnknown, AddressMalformed, TemplateMalformed, NotificationMalformed.
    """

    when: str | tuple[str, ...]
    to: Secret | str = field(repr=False)
    text: str | None = None

    def __post_init__(self) -> None:
        for word in self.words:
            if word not in WORDS:
                raise ChangeUnknown(word, WORDS)
        if not self.words:
            raise ChangeUnknown((), WORDS)
        if isinstance(self.to, str):
            checked_address(self.to)
        elif not isinstance(self.to, Secret):
            raise NotificationMalformed("`to` is neither a Secret nor a URL")
        if self.text is not None:
            _check_template(self.text)

    @property
    def words(self) -> tuple[str, ...]:
        """`when`, as several words."""
        return (self.when,) if isinstance(self.when, str) else tuple(self.when)

    def text_of(self, facts: Facts) -> str:
        """What it says of a change."""
        return _default_text(facts) if self.text is None else self.text.format_map(facts)


def fits(words: Iterable[str], state: State) -> bool:
    """Return whether a notification with these words of `WORDS` tells of what has come to stand so."""
    return any(getattr(state, f"is_{word}")() for word in words)


def _check_template(text: object) -> None:
    if not isinstance(text, str):
        raise NotificationMalformed("`text` is no text")
    try:
        for name, spec in _fields(text):
            _check_field(name, spec)
        text.format_map(EXAMPLE)
    except TemplateMalformed:
        raise
    except (ValueError, LookupError, TypeError) as why:  # whatever `str.format` thinks of it
        raise TemplateMalformed(f"`text` cannot be filled in ({why})", EXAMPLE) from None


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of a template and their formats, those of fields within formats too."""
    for _, name, spec, _ in Formatter().parse(text):
        if name is not None:
            yield name, spec or ""
            yield from _fields(spec or "")


def _check_field(name: str, spec: str) -> None:
    if name not in EXAMPLE:  # an index or an attribute makes a name another one, too
        raise TemplateMalformed(f"`text` asks for {{{name}}}", EXAMPLE)
    if "{" in spec or re.search(rf"\d{{{_WIDEST + 1},}}", spec):
        raise TemplateMalformed(f"`text` wants {{{name}}} in the form {spec!r}", EXAMPLE)


def _default_text(facts: Facts) -> str:
    whole = f"{facts['workflow']} {facts['operation_id']}"
    what = f"{facts['step']} of {whole}" if facts["step"] else whole
    why = f" ({facts['message']})" if facts["message"] else ""
    again = f", again at {facts['start_time']}" if facts["start_time"] else ""
    return f"{what}: {facts['state']}{why}{again}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it goes out: `id` is the same in each try, `at` is when the change was made (epoch seconds)."""

    id: str
    at: float
    text: str
    facts: Facts

    @property
    def topic(self) -> str:
        """What it is about in one word, such as `step.failed` or `operation.paused`."""
        return f"{'step' if self.facts['step'] else 'operation'}.{str(self.facts['state']).lower()}"


class Channel(ABC):
    """A way by which messages are delivered."""

    @abstractmethod
    def deliver(self, address: str, message: Message, seconds: float) -> None:
        """Deliver a message, within so many seconds.

        Raises NotDelivered, whose words show nothing of the address behind its host.
        """

    @abstractmethod
    def name_of(self, address: str) -> str:
        """What people may be told of an address: nothing that could be a secret."""
