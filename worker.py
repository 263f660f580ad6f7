"""The Celery app: `celery -A worker:celery worker`."""

from app.worker import celery

__all__ = ["celery"]
