"""JSON logging: one object per line, with the ids of the running step and without secrets.

With `LOG_FORMAT=plain` each program keeps its own format, and only the ids are used.
"""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import structlog

from pausable.config import masked
from pausable.secrets import redacted
from pausable.texts import LINE, cut, storable

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from pausable.config import Settings

if TYPE_CHECKING:
    Event = MutableMapping[str, Any]

#: A token as generated, or one in an Authorization header.
_TOKEN: Final = re.compile(r"\bpa_[\w-]{20,}|(?i:(?<=bearer ))[^\s'\"]+")
#: Names of the web server's own loggers, which have handlers of their own.
_WEB_SERVER: Final = ("gunicorn.error", "gunicorn.access")


#: The ids of the running step. A separate context variable: structlog's would cost five times as much per step.
_step: Final[ContextVar[tuple[int, str] | None]] = ContextVar("step", default=None)


class in_step:
    """Adds these ids to every line logged by this thread in the block."""

    __slots__ = ("_ids", "_token")

    def __init__(self, operation_id: int, slug: str) -> None:
        self._ids = operation_id, slug

    def __enter__(self) -> None:
        self._token = _step.set(self._ids)

    def __exit__(self, *_: object) -> None:
        _step.reset(self._token)


def _with_ids(_logger: object, _method: str, event: Event) -> Event:
    if ids := _step.get():
        event["operation_id"], event["step"] = ids
    return event


def log_as_asked(settings: Settings) -> None:
    """Configure logging as the settings say; `plain` leaves the program's own format."""
    if settings.log_format == "json":
        log_as_json(settings.log_level)


def log_as_json(level: int | str) -> None:
    """Log everything of this process to standard error as JSON, warnings included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _WEB_SERVER:
        for own in logging.getLogger(name).handlers:
            own.setFormatter(handler.formatter)
    logging.captureWarnings(True)


def json_formatter() -> logging.Formatter:
    """Return the formatter of a JSON line: `timestamp`, `level`, `logger`, `event`, ids, and `exception` if any."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _with_ids,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_secrets,
            structlog.processors.JSONRenderer(default=repr),
        ],
    )


def _without_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Return the event with passwords in URLs and tokens replaced by `***`, and secrets by their names."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = cut(storable(_TOKEN.sub("***", masked(redacted(value)))), LINE)
    return event
