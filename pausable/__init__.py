"""What workflows are written with: `step` for a task, `workflow` for the canvas, `Flow`, signals, states, triggers.

Each name is imported when it is first asked for: to import one part, such as the pause primitive, loads no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pausable.canvas import chain, chord, group
    from pausable.canvas.tappable import tappable
    from pausable.engine.cursor import cursor
    from pausable.engine.handlers import Subject, callback_factory
    from pausable.model import signals, states, triggers
    from pausable.model.states import State
    from pausable.notifications.notification import Notification
    from pausable.results.local import LocalResult
    from pausable.results.remote import GCSResult, S3Result
    from pausable.secrets import Secret
    from pausable.workflows.flow import Flow
    from pausable.workflows.registry import Canvas, NotifyAll, Workflow, Workflows, load_workflows, workflow
    from pausable.workflows.step import step

#: The one place of it: the package and the description of the HTTP interface take it from here.
__version__ = "1.0.0"

__all__ = [
    "Canvas",
    "Flow",
    "GCSResult",
    "LocalResult",
    "Notification",
    "NotifyAll",
    "S3Result",
    "Secret",
    "State",
    "Subject",
    "Workflow",
    "Workflows",
    "callback_factory",
    "chain",
    "chord",
    "cursor",
    "group",
    "load_workflows",
    "signals",
    "states",
    "step",
    "tappable",
    "triggers",
    "workflow",
]

_PLACES = {
    "pausable.canvas": ("chain", "chord", "group"),
    "pausable.canvas.tappable": ("tappable",),
    "pausable.engine.handlers": ("Subject", "callback_factory"),
    "pausable.model": ("signals", "states", "triggers"),
    "pausable.model.states": ("State",),
    "pausable.notifications.notification": ("Notification",),
    "pausable.results.local": ("LocalResult",),
    "pausable.results.remote": ("GCSResult", "S3Result"),
    "pausable.secrets": ("Secret",),
    "pausable.engine.cursor": ("cursor",),
    "pausable.workflows.flow": ("Flow",),
    "pausable.workflows.registry": ("Canvas", "NotifyAll", "Workflow", "Workflows", "load_workflows", "workflow"),
    "pausable.workflows.step": ("step",),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "tappable":
        import_module("pausable.canvas.pause")  # registers the task of a pause point
    place = import_module(_PLACE_OF[name])
    found = getattr(place, name, None)
    value = import_module(f"{place.__name__}.{name}") if found is None else found
    globals()[name] = value
    return value
