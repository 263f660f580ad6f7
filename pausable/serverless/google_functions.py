"""Google Cloud Functions: each Pub/Sub message runs one slice, and the rest is published to Pub/Sub.

The function's `main.py` contains `from pausable.serverless.google_functions import handle`; the entry point is
`handle`, the trigger a Pub/Sub topic, and PUBLISH_TO that topic (`projects/PROJECT/topics/TOPIC`). It needs
functions-framework and google-cloud-pubsub.
"""

from __future__ import annotations

import base64
import logging
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import functions_framework
from google.cloud import pubsub_v1

from pausable.errors import DocumentMalformed, DocumentUntrusted, PublisherUnusable
from pausable.serverless.relay import Message, Publisher, budget, relay_to

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent

    from pausable.serverless.relay import Relay

#: Pub/Sub accepts 10 MB including attributes and metadata.
_LARGEST: Final = 9_000_000
#: Seconds to wait until Pub/Sub has stored a message.
_PATIENCE: Final = 60.0

_log = logging.getLogger(__name__)


class PubSubPublisher(Publisher):
    """Publishes to a topic; the message id is the attribute `slice`, since Pub/Sub gives each copy an id of its own."""

    largest = _LARGEST

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._client = pubsub_v1.PublisherClient()

    def publish(self, message: Message) -> None:
        """Publish, and wait until Pub/Sub has stored the message."""
        try:
            self._client.publish(self._topic, message.content, slice=message.id).result(timeout=_PATIENCE)
        except Exception as why:  # the client raises various exceptions
            raise OSError(f"{self._topic} did not take {message.id}: {why}") from why


@functions_framework.cloud_event
def handle(event: CloudEvent) -> None:
    """Run the slice of a Pub/Sub message; log and drop a message that can never be run.

    Any other exception makes Pub/Sub deliver the message again or move it to the dead letters.
    """
    try:
        _relay().run(_content(event.get_data()), budget())
    except (DocumentMalformed, DocumentUntrusted):
        _log.exception("message %s was refused", event["id"])


@cache
def _relay() -> Relay:
    return relay_to(_publisher)


def _publisher(place: str) -> Publisher:
    parts = place.split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("projects", "topics") or not all(parts):
        raise PublisherUnusable(f"is {place!r}: set it to a topic, such as projects/my-project/topics/slices")
    return PubSubPublisher(place)


def _content(told: Any) -> bytes:
    """Return the bytes of a Pub/Sub message in an event. Raise DocumentMalformed."""
    try:
        return base64.b64decode(told["message"]["data"], validate=True)
    except (TypeError, KeyError, ValueError):
        raise DocumentMalformed("is not in the event: it is no message of Pub/Sub") from None
