"""AWS Lambda: each SQS message runs one slice, and the rest is sent to SQS.

The handler is `pausable.serverless.aws_lambda.handle`, its trigger an SQS queue with `ReportBatchItemFailures`, and
PUBLISH_TO the URL of that queue. It needs botocore, which Lambda provides. A FIFO queue drops duplicates within five
minutes.
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

#: SQS accepts 256 KiB of text, and base64 encodes three bytes as four characters.
_LARGEST: Final = 190 * 1024
#: Seconds of the function's time reserved for writing and sending the result.
_MARGIN: Final = 30.0
_FIFO: Final = ".fifo"

_log = logging.getLogger(__name__)


class SQSPublisher(Publisher):
    """Sends messages to a queue in base64, because SQS accepts only part of Unicode."""

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
        except Exception as why:  # botocore raises an exception class per response
            raise OSError(f"{self._url} did not take {message.id}: {why}") from why


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run a slice for each message; return the messages to deliver again or to move to the dead letter queue.

    Args:
        event: The SQS event.
        context: The Lambda context, which knows the remaining time.

    Raises:
        TimeoutError: The call starts without enough time for a slice: it would pass every operation on unchanged,
            forever.
    """
    if _left(context) <= 0:
        raise TimeoutError(f"The function's timeout leaves no time for a slice: set it to more than {_MARGIN:.0f} s.")
    failed = [record["messageId"] for record in event["Records"] if not _is_run(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def _is_run(record: dict[str, Any], context: Any) -> bool:
    try:
        _relay().run(_content(record["body"]), _budget(context))
    except (DocumentMalformed, DocumentUntrusted):  # it can never succeed, so it is not delivered again
        _log.exception("message %s was refused", record["messageId"])
    except Exception:  # the other messages of the batch must still run
        _log.exception("the slice of message %s failed", record["messageId"])
        return False
    return True


def _left(context: Any) -> float:
    """Return the seconds left for slices."""
    return float(context.get_remaining_time_in_millis() / 1000 - _MARGIN)


def _budget(context: Any) -> Budget:
    """Return the budget of the settings, limited by the remaining time."""
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
    """Return the bytes of a message: plain JSON or base64. Raise DocumentMalformed."""
    if body.lstrip().startswith("{"):
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise DocumentMalformed("is neither JSON nor base64") from None
