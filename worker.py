"""The Celery app: `celery -A worker:celery worker`."""

from app import create_celery
from pausable.config import load_settings
from pausable.logs import log_as_asked
from pausable.worker.worker import keep_logging

settings = load_settings()
log_as_asked(settings)
if settings.log_format == "json":
    keep_logging()
celery = create_celery(settings)
