"""AWS Lambda: each SQS message runs one slice, and the rest is sent to SQS.

The handler is `pausable.serverless.aws_lambda.handle`, its trigger an SQS queue with `ReportBatchItemFailures`,
and PUBLISH_TO that queue's URL. Package: botocore, which Lambda has. A FIFO queue drops by itself what comes twice
within five minutes.
"""

from __future__ import annotations

import base64
import binascii
import logging
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from pausable.engine.local import Budget
from pausable.errors import DocumentMalformed, DocumentUntrusted, PublisherUnusable
from pausable.serverless.relay import Message, Publisher, budget, relay_to

if TYPE_CHECKING:
    from pausable.serverless.relay import Relay

#: SQS takes 256 KiB of text, and base64 makes four characters of three bytes.
_LARGEST: Final = 190 * 1024
#: Seconds of what Lambda gives that are left for writing and sending what the slice came to.
_MARGIN: Final = 30.0
_FIFO: Final = ".fifo"

_log = logging.getLogger(__name__)


class SQSPublisher(Publisher):
    """Sends to a queue, in base64: SQS takes only some characters of Unicode."""

    largest = _LARGEST

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = botocore.session.get_session().create_client("sqs")

    def publish(self, message: Message) -> None:
        """Send the message."""
        told = {"slice": {"StringValue": message.id, "DataType": "String"}}
        once = {"MessageDeduplicationId": message.id, "MessageGroupId": message.id.rpartition("-")[0]}
        body = base64.b64encode(message.content).decode()
        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageAttributes=told,
                **(once if self._url.endswith(_FIFO) else {}),
            )
        except Exception as why:  # botocore has an error of its own for each answer
            raise OSError(f"{self._url} did not take {message.id}: {why}") from why


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the slice that each message asks for; names those that are to come again, or to go to the dead letters.

    Raises TimeoutError where a call begins with no time for any slice: it would hand each operation on as it is, and
    so would every call after it, for ever.
    """
    if _left(context) <= 0:
        raise TimeoutError(f"The function's timeout leaves no time for a slice: give it more than {_MARGIN:.0f} s.")
    failed = [record["messageId"] for record in event["Records"] if not _is_run(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def _is_run(record: dict[str, Any], context: Any) -> bool:
    try:
        _relay().run(_content(record["body"]), _budget(context))
    except (DocumentMalformed, DocumentUntrusted):  # it never can be: nobody need ask again
        _log.exception("the message %s is refused", record["messageId"])
    except Exception:  # one message must not keep the others of its batch from being done
        _log.exception("the slice of the message %s could not be run", record["messageId"])
        return False
    return True


def _left(context: Any) -> float:
    """Seconds that slices may still take."""
    return float(context.get_remaining_time_in_millis() / 1000 - _MARGIN)


def _budget(context: Any) -> Budget:
    """What the settings allow, within what is left of the function's time."""
    asked, left = budget(), max(0.0, _left(context))
    return Budget(asked.steps, min(asked.seconds or left, left))


@cache
def _relay() -> Relay:
    return relay_to(_publisher)


def _publisher(place: str) -> Publisher:
    if not place.startswith(("https://", "http://")):
        raise PublisherUnusable(f"is {place!r}: set it to the URL of an SQS queue")
    return SQSPublisher(place)


def _content(body: str) -> bytes:
    """The bytes of a message: a document as it is, as people send it, or in base64. Raises DocumentMalformed."""
    if body.lstrip().startswith("{"):
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise DocumentMalformed("is neither JSON nor base64") from None
