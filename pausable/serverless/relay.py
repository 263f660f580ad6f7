"""The relay: runs the slice of a message once and publishes the rest of the operation."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pausable.config import load_settings
from pausable.documents.check import is_hand_made, name_by_hand
from pausable.documents.signing import Keys
from pausable.engine.local import Budget, advance
from pausable.errors import DocumentMalformed, PublisherUnusable, TargetOutside
from pausable.logs import log_as_asked
from pausable.model.states import Completion
from pausable.results.remote import store_at
from pausable.service.transfer import believed, known_of
from pausable.workflows.registry import load_workflows

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.config import Settings
    from pausable.documents.model import Document
    from pausable.results.base import Result
    from pausable.workflows.registry import Workflows


@dataclass(frozen=True, slots=True)
class Message:
    """The message that starts the next slice of an operation.

    The id depends on the slice only: up to 100 letters, digits and `_.-`.
    """

    id: str
    content: bytes


class Publisher(ABC):
    """A destination of messages, with at-least-once delivery in any order."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """Maximum bytes of a message; for a larger document the message says where in the store it is."""

    @abstractmethod
    def publish(self, message: Message) -> None:
        """Publish a message durably. Raise OSError if it is not accepted."""


#: Folder in the store for the results of slices.
FOLDER: Final = ".operations/slices"
_PUBLISHED: Final = ".published"
_KEPT: Final = "kept"
_TOLD: Final = f'{{"{_KEPT}":'.encode()

_log = logging.getLogger(__name__)


class Relay:
    """Runs slices of documents signed with these keys, and signs the results; without keys, all documents are run."""

    def __init__(self, workflows: Workflows, keys: Keys, store: Result, publisher: Publisher) -> None:
        self._workflows = workflows
        self._keys = keys
        self._store = store
        self._publisher = publisher

    def run(self, content: bytes, budget: Budget, *, trust: bool = False, lenient: bool = False) -> Document | None:
        """Run the slice of a message and publish the rest.

        Args:
            content: The message.
            budget: The limits of the slice.
            trust: Accept an unsigned document.
            lenient: Ignore states of steps that the workflow does not have.

        Returns:
            The new document; None if the slice was run before.

        Raises:
            DocumentMalformed: The message can never be run.
            DocumentUntrusted: The document is not signed with one of our keys.
            OSError: The store or the publisher cannot be reached.
        """
        keys = None if trust else self._keys or None
        document, is_ours = believed(self._whole(content), keys), keys is not None
        place = _place(document)
        made = (
            None if self._store.exists(place) else self._kept(place, document, budget, is_ours=is_ours, lenient=lenient)
        )
        kept = made or self._store.read(place)
        after: Document = json.loads(kept)
        self._hand_on(place, kept, after)
        if made is None:
            _log.info("%s was run before and is skipped", place)
        return after if made else None

    def _kept(self, place: str, document: Document, budget: Budget, *, is_ours: bool, lenient: bool) -> bytes | None:
        """Run a slice and store its result; return None if another call stored one first."""
        after = self._keys.sealed(
            advance(document, budget, known_of(self._workflows), is_ours=is_ours, lenient=lenient)
        )
        return after if self._store.create(place, after) else None

    def _hand_on(self, place: str, kept: bytes, after: Document) -> None:
        """Publish the rest unless it was published; publish again when in doubt.

        A paused operation is not published: people publish its stored document, or import it.
        """
        if not after.get("spent") or self._store.exists(place + _PUBLISHED):
            if after["completion"] == Completion.PAUSED and not after.get("spent"):
                _log.warning("%s is paused: resume it from its document in the store", _name(after))
            return
        is_small = len(kept) <= self._publisher.largest
        self._publisher.publish(Message(_name(after), kept if is_small else json.dumps({_KEPT: place}).encode()))
        self._store.create(place + _PUBLISHED, b"")

    def _whole(self, content: bytes) -> bytes:
        """Return the document of a message, which may only refer to the store."""
        if not content.startswith(_TOLD):
            return content
        try:
            place = json.loads(content)[_KEPT]
        except (ValueError, RecursionError):
            raise DocumentMalformed("is truncated or no JSON") from None
        if not isinstance(place, str) or not place.startswith(f"{FOLDER}/"):
            raise DocumentMalformed(f"refers to a place outside {FOLDER}")
        try:
            return self._store.read(place)
        except TargetOutside as fault:
            raise DocumentMalformed(f"refers to a place outside {FOLDER}") from fault


def _place(document: Document) -> str:
    """Return where the result of a slice is stored; a document without a name is named by a digest of its content."""
    name = f"by-hand-{name_by_hand(document)}" if is_hand_made(document) else _name(document)
    return f"{FOLDER}/{name}.json"


def _name(document: Document) -> str:
    origin: dict[str, Any] = document["origin"]
    return f"{origin['installation']}-{origin['operation_id']}-{document['slice']}"


def relay_to(publisher: Callable[[str], Publisher]) -> Relay:
    """Return the relay for this function.

    `publisher` makes a publisher of PUBLISH_TO. Raise SettingsInvalid, ModuleUnusable or PublisherUnusable.
    """
    settings = _settings()
    log_as_asked(settings)
    if settings.publish_to is None:
        raise PublisherUnusable("is not set: it names the destination of the rest of an operation")
    keys = Keys(settings.document_keys())
    return Relay(load_workflows(settings.workflows), keys, store_at(settings.results), publisher(settings.publish_to))


def budget() -> Budget:
    """Return the limits of one call from the settings."""
    return Budget(_settings().function_steps, _settings().function_seconds)


@cache
def _settings() -> Settings:
    return load_settings()
