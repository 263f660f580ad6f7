"""Every way of delivering keeps one contract; webhooks of ours prove who sent them, and go nowhere unasked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pausable.errors import NotDelivered
from pausable.notifications import webhook
from pausable.notifications.base import Message
from pausable.notifications.notification import EXAMPLE, Post
from pausable.secrets import Secret
from tests.deadlines import WAIT
from tests.notifications.endpoint import listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notifications.endpoint import Endpoint, Received

KEY = b"0123456789abcdef0123456789abcdef"
MESSAGE = Message("msg_1", 1_800_000_000.0, "clean of monthly-report 17: Failed (ümlaut)", EXAMPLE)


@dataclass(frozen=True)
class Way:
    """A way of delivering: its scheme, and how to find the text in what arrived."""

    scheme: str
    text_in: Callable[[Received], str]

    def url(self, endpoint: Endpoint, path: str = "/hook/token-a") -> str:
        return endpoint.url(path, self.scheme)


WAYS = [
    Way("http", lambda received: str(received.said["data"]["text"])),
    Way("json", lambda received: str(received.said["message"])),
]


@pytest.fixture(params=WAYS, ids=lambda way: way.scheme)
def way(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_KEY", "whsec_" + base64.b64encode(KEY).decode())


def post_to(endpoint: Endpoint) -> Post:
    return Post([endpoint.host])


def refused(endpoint: Endpoint, address: str | Secret) -> str:
    """Why a message is not delivered."""
    with pytest.raises(NotDelivered) as why:
        post_to(endpoint).deliver(address, MESSAGE)
    return str(why.value)


def test_a_message_arrives_with_its_text(way: Way) -> None:
    with listening() as endpoint:
        post_to(endpoint).deliver(way.url(endpoint), MESSAGE)

    assert [(one.path, way.text_in(one)) for one in endpoint.received] == [("/hook/token-a", MESSAGE.text)]


def test_an_address_may_be_a_secret(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as endpoint:
        monkeypatch.setenv("PAGER", f" {way.url(endpoint)}\n")
        post_to(endpoint).deliver(Secret("PAGER"), MESSAGE)

    assert len(endpoint.received) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_an_answer_that_is_no_success_is_a_failure_that_names_it(way: Way, status: int) -> None:
    with listening(answers=lambda _: status) as endpoint:
        assert str(status) in refused(endpoint, way.url(endpoint))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(way: Way, status: int) -> None:
    with listening() as elsewhere, listening(answers=lambda _: status) as endpoint:
        endpoint.headers["Location"] = elsewhere.url()

        assert str(status) in refused(endpoint, way.url(endpoint))

    assert len(endpoint.received) == 1
    assert elsewhere.received == []


def test_a_connection_that_breaks_off_is_a_failure(way: Way) -> None:
    with listening(answers=lambda _: -1) as endpoint:
        refused(endpoint, way.url(endpoint))


def test_a_host_where_nobody_listens_is_a_failure(way: Way) -> None:
    with listening() as endpoint:
        pass

    refused(endpoint, way.url(endpoint))


def test_no_failure_shows_what_stands_behind_the_host(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with listening(answers=lambda _: 500) as endpoint:
        path = "/hook/token-a?key=token-b"
        why = refused(endpoint, way.url(endpoint, path))
        name = post_to(endpoint).name_of(way.url(endpoint, path))

    assert "token" not in why + name + caplog.text
    assert name in (f"http://{endpoint.host}", "json://")


def test_a_secret_that_is_missing_is_a_failure_that_names_it() -> None:
    with listening() as endpoint:
        assert "The secret PAGER is missing" in refused(endpoint, Secret("PAGER"))
        assert post_to(endpoint).name_of(Secret("PAGER")) == "Secret('PAGER')"


@pytest.mark.parametrize("held", ["slack-token-in-plain", "slak://token-a", "slack://token-a", "http://ho st/"])
def test_a_secret_that_holds_no_address_is_a_failure_that_does_not_show_it(
    held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", held)
    with listening() as endpoint:
        assert "token-" not in refused(endpoint, Secret("PAGER"))


def test_a_webhook_says_what_happened_to_what_and_when() -> None:
    with listening() as endpoint:
        post_to(endpoint).deliver(endpoint.url("/hook?x=1"), MESSAGE)

    received = endpoint.received[0]
    assert received.path == "/hook?x=1"
    assert received.headers["content-type"] == "application/json"
    assert received.said == {
        "type": "step.failed",
        "timestamp": "2027-01-15T08:00:00+00:00",
        "data": {**EXAMPLE, "text": MESSAGE.text},
    }


def test_a_webhook_is_signed_as_the_specification_says() -> None:
    before = int(time.time())
    with listening() as endpoint:
        post_to(endpoint).deliver(endpoint.url(), MESSAGE)

    received = endpoint.received[0]
    told = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    signature = base64.b64encode(hmac.new(KEY, told, hashlib.sha256).digest()).decode()
    assert received.headers["webhook-id"] == "msg_1"
    assert before <= int(received.headers["webhook-timestamp"]) <= time.time()
    assert received.headers["webhook-signature"] == f"v1,{signature}"


def test_while_a_key_is_replaced_a_webhook_is_signed_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2)]
    monkeypatch.setenv("WEBHOOK_KEY", " ".join(keys))
    with listening() as endpoint:
        post_to(endpoint).deliver(endpoint.url(), MESSAGE)

    signatures = endpoint.received[0].headers["webhook-signature"].split(" ")
    assert len(set(signatures)) == 2
    assert all(signature.startswith("v1,") for signature in signatures)


@pytest.mark.parametrize("key", ["", "hunter2", "whsec_", "whsec_hunter2", "whsec_" + "A" * 28, "whsec_" + "A" * 120])
def test_without_a_right_key_no_webhook_is_sent_and_the_key_is_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_KEY", key)
    with listening() as endpoint:
        why = refused(endpoint, endpoint.url())

    assert "WEBHOOK_KEY" in why
    assert "hunter2" not in why
    assert endpoint.received == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "127.0.0.1.", "2130706433", "[::1]", "127.0.0.2"])
def test_a_webhook_goes_to_no_host_that_the_settings_do_not_name(host: str) -> None:
    with listening() as endpoint:
        address = f"http://{host}:{endpoint.host.rpartition(':')[2]}/"
        why = refused(endpoint, address)

    assert f"webhooks may not go to {host}:" in why
    assert "WEBHOOK_HOSTS" in why
    assert endpoint.received == []


def test_a_host_without_a_port_means_the_port_of_the_scheme() -> None:
    with listening() as endpoint, pytest.raises(NotDelivered, match="may not go to"):
        Post(["127.0.0.1"]).deliver(endpoint.url(), MESSAGE)


def test_a_host_is_named_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as endpoint:
        port = endpoint.host.rpartition(":")[2]
        Post([f"LocalHost:{port}"]).deliver(f"HTTP://LOCALHOST:{port}/", MESSAGE)

    assert len(endpoint.received) == 1


@pytest.mark.parametrize("address", ["http://me:key@{host}/", "http://{host}:x/", "http://{host}/ü", "https://[::1/"])
def test_an_address_that_could_be_read_in_two_ways_is_refused(address: str) -> None:
    with listening() as endpoint:
        refused(endpoint, address.format(host=endpoint.host))

    assert endpoint.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with listening() as endpoint:
        assert "TLS" in refused(endpoint, endpoint.url(scheme="https"))


def test_one_that_says_a_byte_now_and_then_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pausable.notifications.notification.DEADLINE", 0.3)
    with listening(drips=0.1) as endpoint:
        assert refused(endpoint, endpoint.url()) == "it did not answer within 0.3 s"


def test_one_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pausable.notifications.notification.DEADLINE", 0.2)
    with listening(gate=threading.Event()) as endpoint:
        assert refused(endpoint, endpoint.url()) == "it did not answer within 0.2 s"


def test_one_that_takes_longer_to_answer_than_to_let_us_in_has_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_PATIENCE", 0.2)
    gate = threading.Event()
    with listening(gate=gate) as endpoint:
        threading.Timer(0.5, gate.set).start()

        Post([endpoint.host]).deliver(endpoint.url(), MESSAGE)

        assert len(endpoint.received) == 1


@pytest.mark.parametrize("said", [b"\x00\x01\x02", b"HTTP/1.1 999999\r\n\r\n", b"HTTP/1.1 204 " + b"x" * 70_000])
def test_what_is_no_http_is_a_failure(said: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WAIT)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(WAIT)
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(NotDelivered, match=r"its response is not HTTP|cannot be reached"):
            Post([host]).deliver(f"http://{host}/", MESSAGE)
        thread.join()
