from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from celery import signature

from pausable import Canvas, load_workflows, step, workflow
from pausable.errors import (
    ModuleUnusable,
    NotACanvas,
    StepOptionInvalid,
    WorkflowMalformed,
    WorkflowTwice,
    WorkflowUnknown,
)

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
from __future__ import annotations
from pausable import step, workflow

@step
def greet(name: str) -> str:
    return name

@workflow("{name}", pause_every=3)
def greeting(name: str):
    return greet.s(name)
"""

Write = Callable[[str, str], str]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that can be imported as long as the test lasts, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


@workflow("greeting", pause_every=2)
def greeting(name: str = "you") -> Canvas:
    """Greet somebody, e.g. you, at the door. Then go.

    And never return.
    """
    return signature("greet", args=(name,))


def test_a_workflow_knows_its_name_its_pause_points_and_its_first_sentence() -> None:
    assert (greeting.name, greeting.pause_every) == ("greeting", 2)
    assert greeting.summary == "Greet somebody, e.g. you, at the door."


def test_a_workflow_can_be_called_as_the_function_it_was() -> None:
    assert greeting("me") == greeting(name="me") == signature("greet", args=("me",))


def test_a_workflow_without_a_docstring_has_an_empty_summary() -> None:
    @workflow("bare")
    def bare() -> Canvas:
        return signature("noop")

    assert (bare.summary, bare.pause_every) == ("", 1)


def test_a_workflow_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        greeting.name = "other"  # type: ignore[misc]


def test_a_function_that_returns_no_canvas_is_told_when_it_is_built() -> None:
    @workflow("forgetful")
    def forgetful() -> Canvas:
        signature("noop")
        return None  # type: ignore[return-value]

    with pytest.raises(NotACanvas, match="workflow 'forgetful' returned nothing: let it `return` its canvas"):
        forgetful.build(1, {})


def test_an_async_function_is_refused_as_a_workflow_and_as_a_step() -> None:
    async def later() -> Canvas:
        return {}

    with pytest.raises(WorkflowMalformed, match="async, which is not supported"):
        workflow("later")(later)  # type: ignore[arg-type]
    with pytest.raises(StepOptionInvalid, match="async, which is not supported"):
        step(later)


@pytest.mark.parametrize("name", ["", "two words", "-dash", "a/b", "ü", greeting])
def test_a_name_that_does_not_fit_into_an_address_is_refused(name: str) -> None:
    with pytest.raises(WorkflowMalformed, match=r'write @workflow\("report"\)'):
        workflow(name)


def test_a_negative_pause_every_is_refused() -> None:
    with pytest.raises(WorkflowMalformed, match="pause_every is -1"):
        workflow("greeting", pause_every=-1)


def test_the_shipped_workflows_are_there_without_a_setting() -> None:
    assert [shipped.name for shipped in load_workflows()] == ["add-numbers", "count-by"]


def test_the_modules_of_the_setting_add_to_the_shipped_ones(write_module: Write) -> None:
    module = write_module("greetings_of_a_test", MODULE.format(name="before-all"))

    workflows = load_workflows([module])

    assert [one.name for one in workflows] == ["add-numbers", "before-all", "count-by"]
    assert len(workflows) == 3
    assert "before-all" in workflows
    assert "greeting" not in workflows
    assert workflows["before-all"].pause_every == 3


def test_a_module_may_be_named_twice_and_a_workflow_imported_into_another(write_module: Write) -> None:
    first = write_module("first_of_a_test", MODULE.format(name="greeting"))
    second = write_module("second_of_a_test", "from first_of_a_test import greeting")

    assert len(load_workflows([first, second, first, "pausable.workflows.shipped.count_by"])) == 3


def test_two_workflows_of_one_name_are_refused_with_both_modules(write_module: Write) -> None:
    first = write_module("first_twin", MODULE.format(name="greeting"))
    second = write_module("second_twin", MODULE.format(name="greeting"))

    with pytest.raises(WorkflowTwice) as refused:
        load_workflows([first, second])

    assert str(refused.value) == (
        "The workflow 'greeting' is defined twice, in first_twin and in second_twin: rename one of them."
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1", "it defines no workflow: decorate a function with @workflow"),
        ("1 / 0", ", line 1: ZeroDivisionError: division by zero"),
        ("def", ", line 1: SyntaxError: invalid syntax"),
        ("import nowhere_at_all", ", line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (MODULE.format(name="two words"), ": WorkflowMalformed: The workflow 'two words'"),
        ("import sys; sys.exit(3)", ", line 1: SystemExit: 3"),
        ("from pausable import signals; raise signals.SKIP('no')", ", line 1: SKIP: no"),
    ],
)
def test_a_module_that_gives_no_workflow_is_named_with_the_reason(write_module: Write, source: str, why: str) -> None:
    module = write_module("broken_of_a_test", source)

    with pytest.raises(ModuleUnusable) as refused:
        load_workflows([module])

    said = str(refused.value)
    assert said.startswith("WORKFLOWS names broken_of_a_test, but ")
    assert why in said
    assert not said.endswith("..")
    assert why[0] == "i" or "broken_of_a_test.py, line " in said


def test_a_module_that_is_not_there_is_named_with_the_remedy() -> None:
    with pytest.raises(ModuleUnusable, match="there is no module nowhere: correct the name, or put its folder"):
        load_workflows(["nowhere.at_all"])


def test_an_unknown_name_is_answered_with_the_names_near_it() -> None:
    with pytest.raises(WorkflowUnknown) as unknown:
        load_workflows().get("count_by")

    assert (unknown.value.name, unknown.value.near) == ("count_by", ["count-by"])
    assert str(unknown.value) == "There is no workflow 'count_by'. Is count-by meant?"


def test_a_name_like_no_other_is_answered_with_where_the_names_are() -> None:
    with pytest.raises(WorkflowUnknown, match="GET /workflows lists those there are"):
        load_workflows().get("zzz")


def test_who_may_edit_operations_is_the_owner_or_an_admin() -> None:
    with pytest.raises(WorkflowMalformed, match="editable is True, but must say who may edit: use 'owner' or 'admin'"):
        workflow("report", editable=True)  # type: ignore[arg-type]
