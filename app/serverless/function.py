"""What every cloud function does: its settings, the relay that they ask for, and how much a call may run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from app.config import load_settings
from app.domain.sealing import Keys
from app.errors import PublisherUnusable
from app.execution.advancing import Budget
from app.logs import log_as_asked
from app.results.stores import store_at
from app.serverless.relay import Relay
from app.workflows.registry import load_workflows

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.config import Settings
    from app.serverless.base import Publisher


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
