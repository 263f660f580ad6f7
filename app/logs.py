"""What the programs log, as JSON: one object a line, with the ids of the step whose code runs, and without secrets.

Where `LOG_FORMAT` is `plain`, each program logs as it always does, and nothing here is used but the ids.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

from app.config import masked

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from contextlib import AbstractContextManager

    from app.config import Settings

    Event = MutableMapping[str, Any]

#: A token as it is made, or one that a header was about to carry.
_TOKEN: Final = re.compile(r"\bpa_[\w-]{20,}|(?i:(?<=bearer ))[^\s'\"]+")
#: What the web server's own loggers are called; they have handlers of their own.
_WEB_SERVER: Final = ("gunicorn.error", "gunicorn.access")


def in_step(operation_id: int, slug: str) -> AbstractContextManager[None]:
    """Put these ids into every line that is logged in this block, by this thread."""
    return bound_contextvars(operation_id=operation_id, step=slug)


def log_as_asked(settings: Settings) -> None:
    """Let this process log as the settings ask: what is plain stays as the program that runs it has it."""
    if settings.log_format == "json":
        log_as_json(settings.log_level)


def log_as_json(level: int | str) -> None:
    """Let everything that is logged in this process go to standard error as JSON, warnings too."""
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
    """Makes one line of JSON of a record: `timestamp`, `level`, `logger`, `event`, ids, and `exception` if there is."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
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
    """The event with the passwords of URLs, and tokens, replaced by `***`."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _TOKEN.sub("***", masked(value))
    return event
