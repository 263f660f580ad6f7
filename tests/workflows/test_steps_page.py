"""The examples of docs/steps.md, taken from there and run."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pausable import Workflow, signals, step, triggers
from pausable.model.retries import LONGEST, Retries
from pausable.model.states import Failed, Skipped, Success

if TYPE_CHECKING:
    from pausable.engine.policies import StepPolicy, WorkflowPolicy

PAGE = (Path(__file__).parents[2] / "docs" / "steps.md").read_text(encoding="utf-8")
_numbers = count()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(snippet: str) -> dict[str, Any]:
    module = ModuleType(f"snippet{next(_numbers)}")  # the app of another test may live on, and keeps its tasks
    exec(snippet, module.__dict__)  # noqa: S102
    return module.__dict__


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_every_example_is_a_module_that_can_be_imported(number: int) -> None:
    assert run(SNIPPETS[number])


def test_the_example_of_a_handler_skips_what_is_late() -> None:
    module = run(SNIPPETS[0])
    handler = module["forgive_late_data"]

    assert handler(None, None, Failed("Monday is late")) == Skipped("There is nothing yet.")
    assert handler(None, None, Failed("no disk")) is handler(None, None, Success()) is None
    assert module["load"].policy.handlers == module["load_day"].policy.handlers == (handler,)


def test_the_example_of_triggers_names_the_steps_that_decide() -> None:
    module = run(SNIPPETS[3])
    convert_parts: Workflow = module["convert_parts"]
    policy: WorkflowPolicy = convert_parts.policy

    assert policy.reference == ("convert", "publish")
    assert module["clean_up"].policy.trigger({"publish": Failed()}) is True
    assert convert_parts.build(1, {"parts": [1, 2]})


def test_the_table_names_every_option_of_the_services_own() -> None:
    options = set(re.findall(r"`([a-z_]+)=", PAGE.partition("\n\n`@workflow` takes")[0]))

    assert {"state_handlers", "on_failure", "on_success", "notify", "trigger", "skip_on_upstream_skip"} <= options
    assert {"max_retries", "retry_delay", "retry_backoff", "retry_jitter", "retry_max_delay", "retry_on"} <= options


def test_the_table_tells_the_defaults_there_are() -> None:
    def nothing() -> None: ...

    bare: StepPolicy = step(name="steps-page.bare")(nothing).policy  # type: ignore[attr-defined]
    given: StepPolicy = step(name="steps-page.given", retry_delay=1)(nothing).policy  # type: ignore[attr-defined]

    assert (bare.trigger, bare.skip_on_upstream_skip, bare.retries) == (triggers.all_successful, True, None)
    assert given.retries == Retries(most=3, delay=1, backoff=1, jitter=False, longest=LONGEST, on=(Exception,))


def test_the_examples_of_asking_a_person_pause_and_know_of_the_answer() -> None:
    trigger = run(SNIPPETS[-1])["ask_where_something_failed"]

    with pytest.raises(signals.PAUSE, match="Not all parts are there"):
        trigger({"load-1": Failed(), "load-2": Success()})
    with triggers.asking(is_resumed=True):
        assert trigger({"load-1": Failed()})
