"""AWS Lambda: the handler is called with what SQS, as moto serves it, delivers; everything comes twice."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from pausable.documents.signing import Keys
from pausable.serverless import relay
from tests.results.servers import serving_aws
from tests.serverless.conftest import FLOWS, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Context:
    """What Lambda tells a call of its time."""

    seconds: float = 300.0
    #: What the time is once it was asked for; without it, time stands still.
    later: float | None = None

    def get_remaining_time_in_millis(self) -> int:
        told, self.seconds = self.seconds, self.seconds if self.later is None else self.later
        return int(told * 1000)


@dataclass
class Queue:
    """A queue, and the function that its messages trigger."""

    client: Any
    url: str
    handler: Any

    def send(self, body: str) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body, **self._group())

    def _group(self) -> dict[str, str]:
        return {"MessageGroupId": "people"} if self.url.endswith(".fifo") else {}

    def receive(self) -> list[dict[str, Any]]:
        """The records that a call is given, each once more than it was sent."""
        told = self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        for one in told:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return [{"messageId": one["MessageId"], "body": one["Body"]} for one in told] * 2

    def call(self, records: list[dict[str, Any]], seconds: float = 300.0, later: float | None = None) -> list[str]:
        """Call the function; the ids of the messages that are to come again."""
        answer = self.handler.handle({"Records": records}, Context(seconds, later))
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    def run_out(self) -> list[str]:
        failed: list[str] = []
        while records := self.receive():
            failed += self.call(records)
        return failed


@pytest.fixture(params=["slices", "slices.fifo"])
def queue(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue of each kind, whose messages trigger the function with the settings of its own."""
    with serving_aws():
        client = botocore.session.get_session().create_client("sqs")
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if request.param.endswith(".fifo") else {}
        url = client.create_queue(QueueName=request.param, Attributes=fifo)["QueueUrl"]
        told = {"PUBLISH_TO": url, "FUNCTION_STEPS": "1", "DOCUMENT_KEY": KEY, "WORKFLOWS": FLOWS}
        for name, value in (told | {"DATA_DIR": str(tmp_path)}).items():
            monkeypatch.setenv(name, value)
        relay._settings.cache_clear()
        handler = importlib.import_module("pausable.serverless.aws_lambda")
        handler._relay.cache_clear()
        yield Queue(client, url, handler)
        relay._settings.cache_clear()
        handler._relay.cache_clear()


def document(folder: Path) -> dict[str, Any]:
    return {"workflow": "marked-flow", "arguments": {"ledger": str(folder / "ledger")}, "steps": []}


def kept(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_bytes()) for file in (folder / "results" / ".operations" / "slices").glob("*.json")]


def test_a_document_is_run_one_step_a_message_to_its_end(queue: Queue, tmp_path: Path) -> None:
    queue.send(Keys([KEY]).sealed(document(tmp_path)).decode())

    assert queue.run_out() == []

    marks = (tmp_path / "ledger").read_text().splitlines()
    assert sorted(marks) == ["beside-0", "beside-1", "beside-2", "first"]
    assert [one["result"] for one in kept(tmp_path) if one["completion"] == "COMPLETED"] == [6]


def test_a_message_that_cannot_be_run_now_comes_again_and_one_that_never_can_does_not(
    queue: Queue, tmp_path: Path
) -> None:
    keys = Keys([KEY])
    good, gone = document(tmp_path), document(tmp_path) | {"workflow": "of-tomorrow"}
    told = {"good": keys.sealed(good), "gone": keys.sealed(gone), "unsigned": json.dumps(good).encode(), "bad": b"%"}
    records = [{"messageId": name, "body": content.decode()} for name, content in told.items()]

    assert queue.call(records) == ["gone"]

    assert (tmp_path / "ledger").read_text() == "first\n"


def test_a_function_that_has_no_time_for_any_slice_complains_and_hands_nothing_on(queue: Queue, tmp_path: Path) -> None:
    queue.send(Keys([KEY]).sealed(document(tmp_path)).decode())

    with pytest.raises(TimeoutError, match="set it to more than 30 s"):
        queue.call(queue.receive(), seconds=30.0)

    assert queue.receive() == []
    assert kept(tmp_path) == []


def test_a_call_that_has_no_time_left_runs_nothing_and_hands_the_message_on(queue: Queue, tmp_path: Path) -> None:
    queue.send(Keys([KEY]).sealed(document(tmp_path)).decode())

    assert queue.call(queue.receive(), later=5.0) == []

    assert not (tmp_path / "ledger").exists()
    assert queue.run_out() == []
    assert len((tmp_path / "ledger").read_text().splitlines()) == 4
