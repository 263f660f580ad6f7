"""HTTP: requests are translated, one command is called, and what it returns is presented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask_openapi.openapi import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from pausable.service.feed import Feed
from pausable.service.pages import Backlog

from .answers import Problem
from .auth import FailedTokens
from .bulks import bulks
from .console.pages import make_console
from .documents import carrying, editing, history
from .monitoring import Readiness, health, make_metrics, metrics
from .openapi import INFO, SECURITY_SCHEMES, pages
from .operations import Entrance, WaitingRoom, inspecting, operations, steering, workflows
from .problems import register_problems
from .requests import LARGEST_BODY
from .responses import harden
from .stream import KEPT, PLACES, StreamRoom

if TYPE_CHECKING:
    from pausable.config import Settings
    from pausable.db.database import Database
    from pausable.service.operations import Commands

#: Requests that are answered at the same time: the web server has so many threads besides those of the streams.
_AT_ONCE: Final = 64
#: A quarter of them may wait for a pause: the others go on answering meanwhile.
_PLACES_TO_WAIT: Final = 16


class IdConverter(BaseConverter):
    """A key of the database in an address: any other number, or word, is an address where there is nothing."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)


def make_web(commands: Commands, settings: Settings) -> OpenAPI:
    """The Flask application that translates requests into these commands."""
    app = OpenAPI(
        __package__.rpartition(".")[0],  # of the service: another package may be called `app` where it is installed
        info=INFO,
        security_schemes=SECURITY_SCHEMES,
        validation_error_model=Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = "3.1.0"  # the newest that client generators read
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.url_map.converters["id"] = IdConverter
    app.extensions |= _parts(commands, settings)
    for api in (workflows, operations, steering, editing, bulks, carrying, inspecting, history, health, metrics):
        app.register_api(api)
    app.register_blueprint(pages)
    make_console(app, settings)
    app.after_request(harden)
    _let_in(app, commands.engine.database)
    register_problems(app)
    _stand_behind(app, settings.trusted_proxies)
    return app


def _parts(commands: Commands, settings: Settings) -> dict[str, object]:
    """What the routes share."""
    return {
        "backlog": Backlog(commands.engine),
        "commands": commands,
        "failed_tokens": FailedTokens(settings.failed_tokens_per_minute),
        "metrics": make_metrics(commands.engine),
        "readiness": Readiness(commands.engine),
        "waiting_room": WaitingRoom(_PLACES_TO_WAIT),
        "feed": Feed(commands.engine.database),
        "stream_room": StreamRoom(PLACES, KEPT),
    }


def _let_in(app: OpenAPI, database: Database) -> None:
    """Hold no more connections to the database than so many requests need, though the streams have threads besides."""
    entrance = Entrance(_AT_ONCE)
    app.before_request(entrance.enter)
    app.teardown_request(entrance.leave)  # after the next line: they are called in reverse order
    app.teardown_request(lambda _fault: database.close_beyond(_AT_ONCE))


def _stand_behind(app: OpenAPI, proxies: int) -> None:
    """Believe what so many proxies say of who asks; by default nothing, or anybody could write another address."""
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_prefix=proxies)  # type: ignore[method-assign]
