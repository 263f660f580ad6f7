"""`link_error`: called once, as Celery calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pausable.model.states import Completion
from tests.databases import both_when_long
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from tests.execution.service import Service


database_kind = both_when_long()


def test_an_errback_is_called_once_with_the_request_the_error_and_the_traceback(service: Service) -> None:
    file = service.path()
    operation = service.start("errback", file=file, kind="new")

    service.ended(operation)

    wait_for(lambda: bool(lines_of(file)))
    id_, task = service.task_id(operation, "fail"), "tests.execution.flows.fail"
    assert [json.loads(line) for line in lines_of(file)] == [
        [id_, task, [1], "ArithmeticError", "no such number", True]
    ]


def test_an_errback_of_the_older_kind_is_sent_the_id_of_the_step(service: Service) -> None:
    file = service.path()
    operation = service.start("errback", file=file, kind="old")

    service.ended(operation)

    wait_for(lambda: bool(lines_of(file)))
    assert [json.loads(line) for line in lines_of(file)] == [[service.task_id(operation, "fail")]]


def test_an_errback_of_what_never_ran_is_not_called(service: Service) -> None:
    file = service.path()
    operation = service.start("errback-behind", file=file)

    service.ended(operation)

    service.run("adding", numbers=[1])
    assert lines_of(file) == []


def test_an_errback_that_raises_changes_nothing(service: Service) -> None:
    operation = service.start("broken-errback")

    assert service.error(operation)["step"] == "fail"
    assert service.run("adding", numbers=[1]).completion is Completion.COMPLETED


def test_an_errback_may_be_retried_as_any_task(service: Service) -> None:
    file = service.path()
    operation = service.start("errback", file=file, kind="retried")

    service.ended(operation)

    wait_for(lambda: lines_of(file) == ["0", "1"])
