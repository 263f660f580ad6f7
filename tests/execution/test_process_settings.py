"""What the process of a worker was set up with is so again after each step, whatever its code has changed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from pausable.model.states import Completion
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def service(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("settings")
    service = make_service(folder, in_database(broker_url, 10), flows=("tests.execution.strange_flows",))
    service.queue.flushdb()
    with service.at_work(), service.working(processes=1):
        yield service
    service.close()


def test_a_step_changes_no_setting_of_the_process_for_the_next(service: Service, tmp_path: Path) -> None:
    ended = service.run("spoils", folder=str(tmp_path))

    told: Any = json.loads(ended.result or "null")
    assert told[0] == told[1]
    assert told[0]["umask"] != 0o777


def test_what_the_service_keeps_of_a_result_can_be_read_whatever_the_step_has_set(
    service: Service, tmp_path: Path
) -> None:
    ended = service.run("spoils-results", folder=str(tmp_path))

    assert ended.completion is Completion.COMPLETED
    (kept,) = (service.settings.data_dir / "results").rglob("long_text*")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o700 == 0o700 for folder in kept.parents if os.access(folder, os.R_OK))


def test_what_a_process_has_loaded_at_its_start_is_left_out_of_garbage_collections(service: Service) -> None:
    ended = service.run("frozen")

    assert int(ended.result or 0) > 50_000
