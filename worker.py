"""The Celery app: `celery -A worker:celery worker`."""

from app import create_app

celery = create_app().extensions["celery"]
