"""The examples of state handlers, on a real worker, with what they print and post."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from tests.execution.service import Service
    from tests.notifications.endpoint import Endpoint

_PREFIX = re.compile(r"\[[^]]*WARNING/[^]]*\] |\d{4}-\d\d-\d\dT[\d:.]+Z WARNING celery\.redirected: |--- run \d+, .*\n")


def printed(log: str) -> str:
    """What was printed, without what loggers put in front of it and without empty lines."""
    lines = [line for line in _PREFIX.sub("", log).splitlines() if line]
    return "\n".join(lines)


def worker_log(service: Service) -> str:
    return (service.settings.data_dir / "worker.log").read_text()


OPERATION_DEMO = """\
Calling my custom state handler on <Operation: state-handler-demo>:
Scheduled() to Running("Running flow.")
Calling my custom state handler on <Operation: state-handler-demo>:
Running("Running flow.") to Success("All reference tasks succeeded.")"""

STEP_DEMO = """\
Calling my custom state handler on <Step: watched>:
Pending() to Running("Starting task run.")
Calling my custom state handler on <Step: watched>:
Running("Starting task run.") to Success("Task run succeeded.")"""

SEVERAL = """\
Calling my custom state handler on <Step: bet>:
Pending() to Running("Starting task run.")
Calling my custom state handler on <Step: bet>:
Pending() to Running("Starting task run.")
Calling my custom state handler on <Step: bet>:
Running("Starting task run.") to Failed("ArithmeticError: 5 lost")
Calling my custom state handler on <Step: bet>:
Running("Starting task run.") to Success("Nobody won.")"""


def test_the_demo_on_an_operation_prints_both_of_its_changes_to_the_log_of_the_worker(service: Service) -> None:
    before = len(worker_log(service))

    service.run("state-handler-demo")

    wait_for(lambda: "reference tasks" in worker_log(service)[before:])
    assert printed(worker_log(service)[before:]) == OPERATION_DEMO


def test_the_demo_on_a_step_prints_both_of_its_changes_to_the_log_of_the_step(service: Service) -> None:
    operation = service.run("step-handler-demo")

    assert printed(service.log(operation.id, "watched")) == STEP_DEMO


def test_what_the_handlers_of_a_step_print_is_in_the_log_of_the_worker_too(service: Service) -> None:
    before = len(worker_log(service))

    service.run("step-handler-demo")

    wait_for(lambda: "task run succeeded." in worker_log(service)[before:].lower())
    assert printed(worker_log(service)[before:]) == STEP_DEMO


@pytest.mark.parametrize(
    ("divisor", "said", "completion"),
    [
        (3, '<Step: divide> finished in state Success("Task run succeeded.")', Completion.COMPLETED),
        (0, '<Step: divide> finished in state Failed("ZeroDivisionError: float division by zero")', Completion.FAILED),
    ],
)
def test_the_notifier_posts_once_how_the_step_finished(
    service: Service, slack: Endpoint, divisor: float, said: str, completion: Completion
) -> None:
    operation = service.run("notify-on-finish", a=6, b=divisor)

    assert [one.said for one in slack.received] == [{"text": said}]
    assert operation.completion is completion


def test_a_post_that_is_refused_fails_the_step_and_is_not_repeated(service: Service, slack: Endpoint) -> None:
    slack.answers = lambda _number: 500

    operation = service.run("notify-on-finish")

    error = service.error(operation.id)
    assert (error["step"], error["type"], error["message"]) == ("divide", "HTTPError", "HTTP Error 500: X")
    assert "in post_when_finished" in error["traceback"]
    assert len(slack.received) == 1


@pytest.mark.parametrize(("workflow", "step"), [("notify-on-retry", "fetch"), ("callback-factory", "fetch_again")])
def test_the_notifier_posts_when_the_step_is_retried_and_when_that_will_be(
    service: Service, slack: Endpoint, workflow: str, step: str
) -> None:
    operation = service.run(workflow, outages=2)

    assert operation.result == '"fetched at attempt 3"'
    words = f"<Step: {step}> failed and is retrying at "
    texts = [one.said["text"] for one in slack.received]
    times = [datetime.fromisoformat(text.removeprefix(words)) for text in texts]
    assert len(times) == 2
    assert times[1] - times[0] >= timedelta(seconds=0.2)
    assert all(time.utcoffset() == timedelta(0) for time in times)


@pytest.mark.parametrize("workflow", ["notify-on-retry", "callback-factory"])
def test_the_notifier_of_retries_says_nothing_where_nothing_fails(
    service: Service, slack: Endpoint, workflow: str
) -> None:
    operation = service.run(workflow, outages=0)

    assert operation.completion is Completion.COMPLETED
    assert slack.received == []


def test_the_special_failure_tells_its_handler_what_it_carries(service: Service) -> None:
    operation = service.run("special-failure", a=1, b=1)

    assert operation.completion is Completion.FAILED
    assert service.error(operation.id)["message"] == "a equaled b!"
    assert printed(service.log(operation.id, "mission_critical")) == (
        "Special failure mode!  Send all the alerts!\na == b == 1"
    )


def test_other_values_end_well_and_alert_nobody(service: Service) -> None:
    operation = service.run("special-failure", a=1, b=3)

    assert operation.result == "0.5"
    assert service.log(operation.id, "mission_critical") == ""


def test_of_several_handlers_each_is_told_what_the_one_before_it_made_of_the_state(service: Service) -> None:
    operation = service.run("several-handlers", stakes=[5])

    assert printed(service.log(operation.id, "bet")) == SEVERAL
    assert service.states(operation.id)["bet"] is StepState.SUCCESS
    assert operation.result == "0"


def test_on_failure_tells_of_the_step_and_of_the_operation(service: Service, slack: Endpoint) -> None:
    operation = service.run("on-failure", reason="out of ink")

    assert operation.completion is Completion.FAILED
    assert [one.said["text"] for one in slack.received] == [
        "<Step: break_down> failed: RuntimeError: out of ink",
        "<Operation: on-failure> failed: Some reference tasks failed. break_down: RuntimeError: out of ink",
    ]


def test_no_log_tells_where_the_posts_went(service: Service, slack: Endpoint) -> None:
    slack.answers = lambda _number: 500

    operation = service.run("notify-on-finish")

    assert "token-a" not in worker_log(service) + service.log(operation.id, "divide") + str(service.error(operation.id))
