"""The Celery app for `celery -A`, made of the settings in the environment."""

from pausable.config import load_settings
from pausable.logs import log_as_asked
from pausable.worker.worker import keep_logging

from . import create_celery

settings = load_settings()
log_as_asked(settings)
if settings.log_format == "json":
    keep_logging()
celery = create_celery(settings)
