"""The console: pages for people, under `/console`; they work without scripts, and live with them."""

from app.web.console import listing as listing
from app.web.console import live as live
from app.web.console import showing as showing
from app.web.console import starting as starting
from app.web.console import tokens as tokens
from app.web.console import workers as workers
from app.web.console.pages import console, make_console

__all__ = ["console", "make_console"]
