"""What gunicorn reads by itself where it is started in this folder: a web process that stops ends its streams."""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """Let whoever follows operations know that it is over once the process is to stop."""
    worker.wsgi.extensions["feed"].end_when(lambda: not worker.alive)
