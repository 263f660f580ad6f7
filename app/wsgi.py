"""The web application for gunicorn and the `flask` command, made of the settings in the environment."""

from pausable.config import load_settings
from pausable.logs import log_as_asked

from . import create_app
from .cli.output import is_in_terminal, told_plainly

with told_plainly():
    settings = load_settings()
    if not is_in_terminal():
        log_as_asked(settings)
    app = create_app(settings)
