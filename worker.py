"""The Celery app: `celery -A worker:celery worker`."""

from app import create_celery
from app.config import load_settings
from app.execution.worker import keep_log
from app.logs import log_as_asked

settings = load_settings()
log_as_asked(settings)
if settings.log_format == "json":
    keep_log()
celery = create_celery(settings)
