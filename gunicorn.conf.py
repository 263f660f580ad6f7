"""What gunicorn reads by itself where it is started in this folder: app/web/gunicorn_settings.py."""

from app.web.gunicorn_settings import *  # noqa: F403
