"""The contract of a publisher: it hands the rest of an operation on to whoever runs its next slice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """What the next slice of an operation is run from.

    The id is the same whoever publishes that slice, and no other slice has it: up to 100 letters, digits, `_.-`.
    """

    id: str
    content: bytes


class Publisher(ABC):
    """Where messages go; each arrives at least once, in any order."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """Bytes that a message may have; of a larger document it tells where in the store that was left."""

    @abstractmethod
    def publish(self, message: Message) -> None:
        """Hand a message on; it is kept safe when this returns. Raises OSError when it is not taken."""
