"""The web application: `gunicorn wsgi:app`."""

from app import create_app
from app.cli.output import is_in_terminal, told_plainly
from pausable.config import load_settings
from pausable.logs import log_as_asked

with told_plainly():
    settings = load_settings()
    if not is_in_terminal():
        log_as_asked(settings)
    app = create_app(settings)
