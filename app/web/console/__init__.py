"""The console: pages for people, under `/console`; they work without scripts, and live with them."""

from . import live as live
from . import operations as operations
from . import start as start
from . import tokens as tokens
from . import workers as workers
from .pages import console, make_console

__all__ = ["console", "make_console"]
