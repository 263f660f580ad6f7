"""Errors about a canvas that cannot become an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class CanvasRefused(Exception):
    """What a workflow returned cannot become the steps of an operation."""


class CanvasEmpty(CanvasRefused):
    """A workflow returned a canvas without a single step."""

    def __init__(self) -> None:
        super().__init__("The canvas has no step: an operation needs at least one.")


class NotACanvas(CanvasRefused):
    """Something that is no Celery signature stands where one is expected: as the whole canvas, or as a part of it."""

    def __init__(self, found: object, workflow: str | None = None) -> None:
        self.found = found
        if workflow is None:
            super().__init__(f"A Celery signature is expected where {found!r:.80} stands.")
        elif found is None:
            super().__init__(f"The function of the workflow {workflow!r} returned nothing: let it `return` its canvas.")
        else:
            returned = f"The function of the workflow {workflow!r} returned {found!r:.80}"
            super().__init__(f"{returned}: let it return a canvas, such as `a.s() | b.s()`, or a Flow.")


class UnknownTasks(CanvasRefused):
    """A canvas calls tasks that no module of WORKFLOWS registers; `tasks` are their names."""

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks
        super().__init__(f"No task is registered under {', '.join(tasks)}. Is its module named in WORKFLOWS?")


class UnstorableArgument(CanvasRefused):
    """The call of `step` holds a value that JSON cannot hold; `path` leads to it, `fault` says what stands there."""

    def __init__(self, step: str, path: str, fault: str) -> None:
        self.step = step
        self.path = path
        self.fault = fault
        super().__init__(f"step {step}: {path} {fault}, which JSON cannot hold.")


class OptionRefused(CanvasRefused):
    """The call of `step` carries an option that an operation cannot honour; `why` tells what its value is."""

    def __init__(self, step: str, option: str, why: str | None = None) -> None:
        self.step = step
        self.option = option
        words = f"{option} {why}" if why else f"an operation cannot honour the option {option}"
        super().__init__(f"step {step}: {words}.")


class CallMisfits(CanvasRefused):
    """A step calls its task with arguments that the task's function does not take."""

    def __init__(self, step: str, task: str, why: str) -> None:
        self.step = step
        self.task = task
        super().__init__(f"step {step}: {task} cannot be called with these arguments: {why}.")


class CanvasTooDeep(CanvasRefused):
    """Groups and chords stand within each other more than `limit` deep."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"The canvas nests groups, chords or replacements more than {limit} deep.")


class CanvasTooLarge(CanvasRefused):
    """A canvas has more than `limit` of a kind of `parts`: steps, or edges between steps."""

    def __init__(self, parts: str, limit: int) -> None:
        self.parts = parts
        self.limit = limit
        super().__init__(f"The canvas has more than {limit:,} {parts}.")


class TaskUnfit(CanvasRefused):
    """A task asks for something that an operation cannot honour; `why` tells what is wrong with its value."""

    def __init__(self, task: str, asks_for: str, why: str | None = None) -> None:
        self.task = task
        words = f"which {why}" if why else "which a step of an operation cannot honour: take it off the task"
        super().__init__(f"{task} has {asks_for}, {words}.")


class ApplyAsyncUnfit(CanvasRefused):
    """The `apply_async` of a task's base class, asked how it would send a step, gave no answer that can be kept."""

    def __init__(self, task: str, why: str) -> None:
        self.task = task
        super().__init__(f"The apply_async of {task} {why}.")


class WorkflowRaised(CanvasRefused):
    """The author's function raised, with these arguments, where it should have returned a canvas."""

    def __init__(self, workflow: str, fault: BaseException) -> None:
        self.workflow = workflow
        super().__init__(f"The workflow {workflow!r} raised {type(fault).__name__}: {fault}")


class ReferenceUnknown(CanvasRefused):
    """A workflow names reference steps that its canvas does not have."""

    def __init__(self, missing: Sequence[str], slugs: Sequence[str]) -> None:
        self.missing = list(missing)
        names, some = ", ".join(missing), ", ".join(slugs[:20])
        super().__init__(f"reference= names {names}, but the steps are {some}: name steps or tasks of the canvas.")


class FlowMalformed(CanvasRefused):
    """A flow is put together in a way that cannot be run."""

    def __init__(self, flow: str, why: str) -> None:
        self.flow = flow
        self.why = why
        super().__init__(f"The flow {flow!r} cannot be run: {why}.")


class FlowOptionTwice(CanvasRefused):
    """A workflow and the flow that it returns both have an option."""

    def __init__(self, workflow: str, option: str) -> None:
        self.workflow = workflow
        self.option = option
        both = f"@workflow({workflow!r}) and the flow that it returns both have {option}"
        super().__init__(f"{both}: give all of it to one of them.")


class FlowCyclic(CanvasRefused):
    """Nodes of a flow wait for each other; `path` names them, and ends where it begins."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = list(path)
        super().__init__(f"Nodes of the flow wait for each other: {' → '.join(reversed(path))}.")
