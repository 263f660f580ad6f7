from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable import Flow, step, workflow
from pausable.canvas.task import Step
from pausable.errors import StepOptionInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from celery import Task


@step
def double(number: int) -> int:
    return number * 2


@step(bind=True, queue="heavy", max_retries=7)
def name_itself(self: Task[..., str]) -> str:
    return str(self.name)


class GentleStep(Step):
    abstract = True


@step(base=GentleStep, priority=3)
def whisper() -> str:
    return "hush"


def test_without_parentheses_a_function_becomes_a_task_that_can_still_be_called(input_dir: Path) -> None:
    assert isinstance(double, Step)
    assert double(21) == 42


def test_with_parentheses_the_options_reach_the_task(input_dir: Path) -> None:
    assert isinstance(name_itself, Step)
    assert (getattr(name_itself, "queue", None), name_itself.max_retries) == ("heavy", 7)
    assert name_itself() == f"{__name__}.name_itself"


def test_a_step_may_have_a_base_class_of_its_own(input_dir: Path) -> None:
    assert isinstance(whisper, GentleStep)
    assert whisper() == "hush"


def test_a_step_makes_signatures_that_name_it(input_dir: Path) -> None:
    assert double.s(3)["task"] == f"{__name__}.double"


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"retries": 3}, "retries is not an option of a step: max_retries is."),
        ({"timeout": 60}, "timeout is not an option of a step: time_limit is."),
        ({"max_retires": 5}, "max_retires is not an option of a step: max_retries is."),
        ({"cache_for": 60}, "cache_for is not an option of a step: target is."),
        ({"frobnicate": 1}, "frobnicate is not an option of a step."),
        ({"on_failure": 3}, "on_failure is 3: give a function of (obj, state)."),
    ],
)
def test_an_option_that_a_step_does_not_have_is_refused_by_name(option: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StepOptionInvalid) as refused:
        step(**option)

    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "option", ["acks_late", "rate_limit", "typing", "throws", "compression", "autoretry_for", "track_started"]
)
def test_every_option_of_celery_is_taken(option: str) -> None:
    step(**{option: ()})


def test_an_attribute_of_a_base_class_of_its_own_is_an_option() -> None:
    class Tenant(Step):
        abstract = True
        tenant = "none"

    step(base=Tenant, tenant="north")


@pytest.mark.parametrize("make", [Flow, workflow], ids=["flow", "workflow"])
def test_an_option_that_a_workflow_does_not_have_is_refused_by_name(make: Any) -> None:
    with pytest.raises(StepOptionInvalid, match=r"state_handler is not an option of a (flow|workflow)"):
        make("named", state_handler=[])
