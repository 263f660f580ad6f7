"""What gunicorn reads by itself where it is started in this folder.

A web process that stops ends its streams, and one of few threads holds few of them.
"""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """Tell streams how many there may be, and whoever follows operations once the process is to stop."""
    worker.wsgi.extensions["stream_room"].fit(worker.cfg.threads)
    worker.wsgi.extensions["feed"].end_when(lambda: not worker.alive)
