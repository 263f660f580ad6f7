"""The web server's own log as JSON: `gunicorn --logger-class app.web.server_log.JsonLogger`."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from app.logs import json_formatter


class JsonLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's logger, whose lines are JSON from the first one on."""

    def setup(self, cfg: Any) -> None:
        """Set the log up as gunicorn does, and then give each handler another form."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(json_formatter())
