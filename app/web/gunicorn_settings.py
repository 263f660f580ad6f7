"""The settings of gunicorn: `make run` passes them, and in a clone `gunicorn.conf.py` takes them from here.

It serves the application with a worker class of its own, which slow clients cannot hold up, and tells the application
how many threads there are and when the process is to stop.
"""

import sys
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from .server import FrontWorker

worker_class = f"{FrontWorker.__module__}.{FrontWorker.__qualname__}"
threads = 296
keepalive = 5
graceful_timeout = 4
# The application alone decides which proxies to believe (TRUSTED_PROXIES): gunicorn would believe any on this machine.
forwarded_allow_ips = ""


def on_starting(server: Any) -> None:
    """Refuse a kind of worker in which each stream and each waiting request keeps all others out."""
    asked = server.cfg.settings["worker_class"].get()
    if not issubclass(server.cfg.worker_class, ThreadWorker):
        sys.exit(
            f"The web server was not started: gunicorn's worker class {asked} cannot serve streams and waiting "
            "requests beside others. Leave --worker-class out."
        )
    if not issubclass(server.cfg.worker_class, FrontWorker):
        server.log.warning("Slow clients can hold up the worker class %s: leave --worker-class out.", asked)


def post_worker_init(worker: Any) -> None:
    """Tell streams how many there may be, and whoever follows operations once the process is to stop."""
    extensions = worker.wsgi.extensions
    extensions["stream_room"].fit(worker.cfg.threads)
    extensions["feed"].end_when(lambda: not worker.alive)
    if extensions["settings"].trusted_proxies:
        worker.per_address = None
