"""The relay: runs the slice that a message asks for, once, and publishes the rest of the operation."""

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


#: Where in the store it is kept what slices came to.
FOLDER: Final = ".operations/slices"
_PUBLISHED: Final = ".published"
_KEPT: Final = "kept"
_TOLD: Final = f'{{"{_KEPT}":'.encode()

_log = logging.getLogger(__name__)


class Relay:
    """Runs slices of documents that these keys have signed, and signs what comes of them; without keys, all are run."""

    def __init__(self, workflows: Workflows, keys: Keys, store: Result, publisher: Publisher) -> None:
        self._workflows = workflows
        self._keys = keys
        self._store = store
        self._publisher = publisher

    def run(self, content: bytes, budget: Budget, *, trust: bool = False, lenient: bool = False) -> Document | None:
        """Run the slice that a message asks for and publish the rest; the new document, None when it was run before.

        `trust` and `lenient` are those of `pausable.service.transfer.advance`.
        Raises DocumentMalformed and DocumentUntrusted for what will never be run, OSError when store or publisher
        cannot be reached, and what `advance` raises for what cannot be run here and now.
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
            _log.info("%s was run before: nothing of it is run again", place)
        return after if made else None

    def _kept(self, place: str, document: Document, budget: Budget, *, is_ours: bool, lenient: bool) -> bytes | None:
        """Run a slice and keep what it came to; None when somebody else has kept that first."""
        after = self._keys.sealed(
            advance(document, budget, known_of(self._workflows), is_ours=is_ours, lenient=lenient)
        )
        return after if self._store.create(place, after) else None

    def _hand_on(self, place: str, kept: bytes, after: Document) -> None:
        """Publish the rest, unless there is none or that was done; it is done again where nobody can tell.

        What a pause point or a step has paused waits for people: they publish what was kept of it, or import it.
        """
        if not after.get("spent") or self._store.exists(place + _PUBLISHED):
            if after["completion"] == Completion.PAUSED and not after.get("spent"):
                _log.warning("%s is paused, and waits to be resumed: its document is in the store", _name(after))
            return
        is_small = len(kept) <= self._publisher.largest
        self._publisher.publish(Message(_name(after), kept if is_small else json.dumps({_KEPT: place}).encode()))
        self._store.create(place + _PUBLISHED, b"")

    def _whole(self, content: bytes) -> bytes:
        """The document of a message, which may only tell where in the store it was left."""
        if not content.startswith(_TOLD):
            return content
        try:
            place = json.loads(content)[_KEPT]
        except (ValueError, RecursionError):
            raise DocumentMalformed("is truncated or no JSON") from None
        if not isinstance(place, str) or not place.startswith(f"{FOLDER}/"):
            raise DocumentMalformed(f"is told to lie elsewhere than in {FOLDER}")
        try:
            return self._store.read(place)
        except TargetOutside as fault:
            raise DocumentMalformed(f"is told to lie elsewhere than in {FOLDER}") from fault


def _place(document: Document) -> str:
    """Where it is kept what a slice came to; a document that was made by hand has its name of all that it says."""
    name = f"by-hand-{name_by_hand(document)}" if is_hand_made(document) else _name(document)
    return f"{FOLDER}/{name}.json"


def _name(document: Document) -> str:
    origin: dict[str, Any] = document["origin"]
    return f"{origin['installation']}-{origin['operation_id']}-{document['slice']}"


def relay_to(publisher: Callable[[str], Publisher]) -> Relay:
    """The relay of this function; `publisher` makes one of PUBLISH_TO.

    Raises SettingsInvalid, ModuleUnusable, PublisherUnusable.
    """
    settings = _settings()
    log_as_asked(settings)
    if settings.publish_to is None:
        raise PublisherUnusable("is not set: a function must be told where the rest of an operation goes")
    keys = Keys(settings.document_keys())
    return Relay(load_workflows(settings.workflows), keys, store_at(settings.results), publisher(settings.publish_to))


def budget() -> Budget:
    """How much one call may run."""
    return Budget(_settings().function_steps, _settings().function_seconds)


@cache
def _settings() -> Settings:
    return load_settings()
