"""The contract of notification channels, and the schemes of addresses."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pausable.errors import AddressMalformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pausable.model.states import State

#: Schemes of plain webhooks; all others are Apprise's.
WEBHOOKS: Final = ("http", "https")


_URL: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)://[^\s\x00-\x1f\x7f]+")


def scheme_of(address: str) -> str:
    """Return the scheme of a URL in lower case. Raise AddressMalformed if it is not a URL."""
    found = _URL.fullmatch(address)
    if found is None:
        raise AddressMalformed("the address is not a URL such as https://host/path or slack://token")
    return found[1].lower()


if TYPE_CHECKING:
    #: The facts of a change, by the names used in templates.
    Facts = Mapping[str, str | int]


def fits(words: Iterable[str], state: State) -> bool:
    """Return whether a notification for these words applies to a change to this state."""
    return any(getattr(state, f"is_{word}")() for word in words)


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `id` is the same for each attempt, `at` is when the change was made (epoch seconds)."""

    id: str
    at: float
    text: str
    facts: Facts

    @property
    def topic(self) -> str:
        """Return the subject in one word, such as `step.failed` or `operation.paused`."""
        return f"{'step' if self.facts['step'] else 'operation'}.{str(self.facts['state']).lower()}"


class Channel(ABC):
    """A channel that delivers messages."""

    @abstractmethod
    def deliver(self, address: str, message: Message, seconds: float) -> None:
        """Deliver a message within so many seconds.

        Args:
            address: Where to deliver it.
            message: The message.
            seconds: The timeout.

        Raises:
            NotDelivered: The attempt failed; its text contains nothing of the address behind the host.
        """

    @abstractmethod
    def name_of(self, address: str) -> str:
        """Return what may be shown of an address: nothing that may be a secret."""
