"""Whether the broker can be reached just now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from app.execution.engine import Engine

#: Seconds that the broker has to answer.
_SILENCE: Final = 1.0

#: A key that is written and gone at once, to see that anything can be written.
_PROBE: Final = "operations:probe"

_log: Final = logging.getLogger(__name__)


def reach_broker(engine: Engine) -> None:
    """Connect anew, once, and let Redis write; kombu's own `connect` would try again after two seconds.

    A Redis that answers a ping may be a replica, or have no memory left. Raises whatever the broker's client does.
    """
    options = {"socket_connect_timeout": _SILENCE, "socket_timeout": _SILENCE}
    with engine.app.connection_for_write(transport_options=options, connect_timeout=_SILENCE) as connection:
        transport: Any = connection.transport
        opened = transport.establish_connection()
        try:
            if client := getattr(transport.create_channel(opened), "client", None):
                client.set(_PROBE, "1", px=1)
        finally:
            transport.close_connection(opened)


def broker_answers(engine: Engine) -> bool:
    """Whether the broker answers within a second."""
    try:
        reach_broker(engine)
    except Exception as why:  # each kind of broker has errors of its own; their texts may hold a password
        _log.debug("the broker does not answer (%s)", type(why).__name__)
        return False
    return True
