"""The contract of everything that delivers a notification, and the schemes of addresses."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pausable.errors import AddressMalformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pausable.model.states import State

#: The schemes of plain webhooks; every other one is Apprise's.
WEBHOOKS: Final = ("http", "https")


_URL: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)://[^\s\x00-\x1f\x7f]+")


def scheme_of(address: str) -> str:
    """The scheme of a URL in lower case. Raises AddressMalformed for anything that is no URL."""
    found = _URL.fullmatch(address)
    if found is None:
        raise AddressMalformed("the address is no URL such as https://host/path or slack://token")
    return found[1].lower()


if TYPE_CHECKING:
    #: What is known of a change, under the names that a template may use.
    Facts = Mapping[str, str | int]


def fits(words: Iterable[str], state: State) -> bool:
    """Return whether a notification with these words of `WORDS` tells of what has come to stand so."""
    return any(getattr(state, f"is_{word}")() for word in words)


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
