"""What stands in for Google's Pub/Sub on loopback: it takes messages by gRPC, and delivers each twice, in any order."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import grpc
from google.pubsub_v1.types import PublishRequest, PublishResponse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

TOPIC = "projects/operations/topics/slices"


class PubSub:
    """One topic, and the push of its messages to a function."""

    def __init__(self, rng: Random, copies: int) -> None:
        self.address = ""
        self.published: list[Any] = []
        self._under_way: list[Any] = []
        self._rng, self._copies = rng, copies
        self._lock = Lock()

    def take(self, request: PublishRequest, _context: Any) -> PublishResponse:
        """Take messages as the service does; each is under way twice."""
        assert request.topic == TOPIC
        with self._lock:
            self.published += request.messages
            self._under_way += [*request.messages] * self._copies
        return PublishResponse(message_ids=[str(uuid4()) for _ in request.messages])

    def send(self, content: bytes) -> None:
        """Publish as people do, by no client."""
        request = PublishRequest(topic=TOPIC, messages=[{"data": content}])
        self.take(request, None)

    def deliver_all(self, url: str) -> int:
        """Push until nothing is under way; returns how many deliveries that were. One that fails comes again."""
        deliveries = 0
        while self.deliver(url):
            deliveries += 1
        return deliveries

    def deliver(self, url: str) -> bool:
        """Push one of the messages that are under way; False when there is none."""
        if not self._under_way:
            return False
        message = self._under_way.pop(self._rng.randrange(len(self._under_way)))
        if not _pushed(url, message):
            self._under_way.append(message)
        return True


def _pushed(url: str, message: Any) -> bool:
    """Push as a CloudEvent in the binary form, which Eventarc uses."""
    told = {"message": {"data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes)}}
    headers = {
        "Content-Type": "application/json",
        "ce-id": str(uuid4()),
        "ce-source": f"//pubsub.googleapis.com/{TOPIC}",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    }
    try:
        with urlopen(Request(url, json.dumps(told).encode(), headers)) as answer:  # noqa: S310
            return bool(answer.status < HTTPStatus.MULTIPLE_CHOICES)
    except HTTPError:
        return False


@contextmanager
def serving(rng: Random, copies: int = 2) -> Iterator[PubSub]:
    """Serve a Pub/Sub of its own, which delivers so many copies of each message."""
    topic = PubSub(rng, copies)
    server = grpc.server(ThreadPoolExecutor(4))
    publish = grpc.unary_unary_rpc_method_handler(topic.take, PublishRequest.deserialize, PublishResponse.serialize)
    handlers = {"Publish": publish}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", handlers),))
    topic.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield topic
    finally:
        server.stop(None).wait()
