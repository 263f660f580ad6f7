"""The web application: `gunicorn wsgi:app`."""

from app.wsgi import app

__all__ = ["app"]
