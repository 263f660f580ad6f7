"""Google Cloud Functions: the real Functions Framework, pushed to by a Pub/Sub that delivers everything twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from app.supervisor.broker import free_port
from pausable.documents.signing import Keys
from pausable.results.local import LocalResult
from tests.execution.service import wait_for
from tests.serverless import pubsub
from tests.serverless.conftest import FLOWS, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serverless.pubsub import PubSub

ROOT = Path(__file__).parents[2]
SEEDS = (1, 2)


@contextmanager
def function(folder: Path, topic: PubSub, workflows: str = FLOWS) -> Iterator[str]:
    """A function that runs one step for each message; yields its URL."""
    (folder / "main.py").write_text("from pausable.serverless.google_functions import handle\n")
    port = free_port()
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PUBSUB_EMULATOR_HOST": topic.address,
        "PUBLISH_TO": pubsub.TOPIC,
        "FUNCTION_STEPS": "1",
        "DOCUMENT_KEY": KEY,
        "DATA_DIR": str(folder / "var"),
        "WORKFLOWS": workflows,
    }
    command = [sys.executable, "-m", "functions_framework", "--target", "handle", "--host", "127.0.0.1"]
    command += ["--signature-type", "cloudevent", "--source", str(folder / "main.py"), "--port", str(port)]
    log = folder / "log"
    with log.open("w") as said, subprocess.Popen(command, env=environ, cwd=folder, stdout=said, stderr=said) as run:
        wait_for(lambda: answers(port) or run.poll() is not None, log.read_text)
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            run.terminate()


def answers(port: int) -> bool:
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/robots.txt")):
            return True
    except OSError as fault:
        return hasattr(fault, "code")


def kept(folder: Path) -> list[dict[str, Any]]:
    """What slices came to."""
    store = Path(LocalResult(folder / "var" / "results").location, ".operations", "slices")
    return [json.loads(file.read_bytes()) for file in sorted(store.glob("*.json"))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_document_is_run_one_step_a_call_to_its_end(tmp_path: Path, seed: int) -> None:
    ledger = tmp_path / "ledger"
    document = {"workflow": "marked-flow", "arguments": {"ledger": str(ledger)}, "steps": []}
    with pubsub.serving(Random(seed)) as topic, function(tmp_path, topic) as url:
        topic.send(Keys([KEY]).sealed(document))

        deliveries = topic.deliver_all(url)

    assert sorted(ledger.read_text().splitlines()) == ["beside-0", "beside-1", "beside-2", "first"]
    ended = [one for one in kept(tmp_path) if one["completion"] == "COMPLETED"]
    assert [one["result"] for one in ended] == [6]
    assert [message.attributes["slice"][-1] for message in topic.published[1:]] == ["1", "2", "3", "4"]
    assert deliveries == 2 * len(topic.published)


def test_the_eight_tasks_run_one_a_call_each_in_a_fresh_process(tmp_path: Path) -> None:
    with pubsub.serving(Random(1), copies=1) as topic:
        topic.send(Keys([KEY]).sealed({"workflow": "eight-tasks", "arguments": {}, "steps": []}))

        for _call in range(8):
            with function(tmp_path, topic, "examples.eight_tasks") as url:
                assert topic.deliver(url)

    assert not topic.deliver("")
    done = [sum(step["state"]["type"] == "Success" for step in one["steps"]) for one in kept(tmp_path)]
    assert sorted(done) == list(range(1, 9))
    assert [one["result"] for one in kept(tmp_path) if one["completion"] == "COMPLETED"] == [
        [5, "two and 6", "two, one and two"]
    ]


def test_what_can_never_be_run_is_not_asked_for_again(tmp_path: Path) -> None:
    with pubsub.serving(Random(1)) as topic, function(tmp_path, topic) as url:
        topic.send(b'{"workflow": "marked-chain", "steps": []}')
        topic.send(b"no document")

        assert topic.deliver_all(url) == 4

    said = (tmp_path / "log").read_text()
    assert said.count("is not signed") >= 2  # what nobody has signed is refused before it is parsed
    assert kept(tmp_path) == []
