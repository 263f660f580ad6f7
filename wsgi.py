"""The web application: `gunicorn wsgi:app`."""

from app import create_app
from app.cli import told_plainly

with told_plainly():
    app = create_app()
