"""Plain webhooks: a signed POST of JSON to the hosts named in the settings.

The signature follows the Standard Webhooks specification 1.0.0 (standardwebhooks.com).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from pausable import clock
from pausable.errors import AddressMalformed, NotDelivered, WebhookHostRefused, WebhookKeyMalformed
from pausable.model.times import utc
from pausable.notifications.base import Channel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pausable.notifications.base import Message
    from pausable.secrets import Secret

#: Seconds to connect; the answer may take the whole of the deadline.
_PATIENCE: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
_KEY: Final = re.compile(r"whsec_([A-Za-z0-9+/]+={0,2})")
_KEY_BYTES: Final = range(24, 65)


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Return the host, with the port unless it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Webhook(Channel):
    """Delivers to `hosts` only, each a host or host:port as written in the URL; no names are resolved for the check."""

    def __init__(self, hosts: Collection[str], key: Secret) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._key = key

    def deliver(self, address: str, message: Message, seconds: float) -> None:
        """Post a message; any status outside 200-299 is a failure, including redirects."""
        place = _place(address)
        if place.authority not in self._hosts:
            raise WebhookHostRefused(place.authority)
        body = _body(message)
        headers = {"Content-Type": "application/json", "User-Agent": "operations", **self._signed(message.id, body)}
        status = _post(place, body, headers, seconds)
        if 300 <= status < 400:
            raise NotDelivered(f"it answered {status}; redirects are not followed")
        if not 200 <= status < 300:
            raise NotDelivered(f"it answered {status}")

    def name_of(self, address: str) -> str:
        """Return scheme and host: a path may contain a token."""
        place = _place(address)
        return f"{place.scheme}://{place.authority}"

    def _signed(self, message_id: str, body: bytes) -> dict[str, str]:
        """Return the signature headers; a secret of several keys separated by spaces signs with each."""
        moment = str(int(clock.now()))
        told = b".".join((message_id.encode(), moment.encode(), body))
        keys = [_key_bytes(self._key.name, key) for key in self._key.get().split()]
        signatures = [base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode() for key in keys]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": moment,
            "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
        }


def _place(address: str) -> _Place:
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        raise AddressMalformed("the host or the port of the webhook's URL is invalid") from None
    if not host or "@" in url.netloc or not address.isascii():
        raise AddressMalformed("a webhook's URL needs a host, must not name a user, and must be ASCII")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return _Place(url.scheme, host, port or _PORTS[url.scheme], target)


def _key_bytes(name: str, text: str) -> bytes:
    found = _KEY.fullmatch(text)
    try:
        key = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        key = b""
    if len(key) not in _KEY_BYTES:
        raise WebhookKeyMalformed(name)
    return key


def _body(message: Message) -> bytes:
    moment = utc(message.at).isoformat()
    told = {"type": message.topic, "timestamp": moment, "data": {**message.facts, "text": message.text}}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _post(place: _Place, body: bytes, headers: dict[str, str], seconds: float) -> int:
    """Return the status of the response; its body is not read."""
    connection = _connection(place, min(_PATIENCE, seconds))
    try:
        with _cut_off_after(seconds, connection) as is_late:
            try:
                connection.connect()
                connection.sock.settimeout(2 * seconds)  # the timer of this block fires first
                connection.request("POST", place.target, body, headers)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException, ValueError) as why:
                raise NotDelivered(_words(why, seconds, is_late=is_late.is_set())) from None
    finally:
        connection.close()


def _connection(place: _Place, timeout: float) -> http.client.HTTPConnection:
    if place.scheme == "https":
        return http.client.HTTPSConnection(place.host, place.port, timeout=timeout, context=_tls())
    return http.client.HTTPConnection(place.host, place.port, timeout=timeout)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def _cut_off_after(seconds: float, connection: http.client.HTTPConnection) -> Iterator[threading.Event]:
    """Close the connection after so many seconds: a host that sends a byte now and then never hits a socket timeout."""
    is_late = threading.Event()

    def cut() -> None:
        is_late.set()
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def _words(why: Exception, seconds: float, *, is_late: bool) -> str:
    if is_late:
        return f"it did not answer within {seconds:g} s"
    if isinstance(why, TimeoutError):
        return f"it did not accept a connection within {min(_PATIENCE, seconds):g} s"
    if isinstance(why, ssl.SSLError):
        return f"the TLS handshake failed ({why.reason or type(why).__name__})"
    if isinstance(why, OSError):
        return f"it cannot be reached ({why.strerror or type(why).__name__})"
    return f"its response is not HTTP ({type(why).__name__})"
