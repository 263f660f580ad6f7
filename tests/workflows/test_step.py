from __future__ import annotations

from typing import TYPE_CHECKING

from app.execution.step import Step
from app.workflows import step

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
