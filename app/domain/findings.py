"""What is found before an operation is resumed: what would keep it from going on, or from doing what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: What whoever resumes may answer for: that the code is another, and that workers have what this process has not.
CODE: Final = "code"
ENVIRONMENT: Final = "environment"
ACCEPTABLE: Final = (CODE, ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: `accept` is the word that lets the operation go on in spite of it.

    One that blocks and has no such word lets nothing go on; one that does not block only warns. `step` is the first of
    the `steps` that it concerns, `about` the task, secret, store or queue that it is about.
    """

    kind: str
    sentence: str
    blocks: bool = True
    accept: str | None = None
    about: str | None = None
    step: str | None = None
    steps: int | None = None


def in_the_way(findings: Iterable[Finding], accepted: Collection[str] = ()) -> list[Finding]:
    """Those that keep an operation from going on, whatever was accepted left out."""
    return [one for one in findings if one.blocks and one.accept not in accepted]


def document_unusable(why: str) -> Finding:
    """The document is missing, or is not what was written."""
    return Finding("document_unusable", why)


def task_gone(task: str, step: str | None, steps: int) -> Finding:
    """No code is registered for a task that is yet to run."""
    which = f", which {_steps(step, steps)} call{'s' * (steps == 1)}" if step else ", which a pause point calls"
    sentence = f"No code is registered here for {task[:80]}{which}."
    return Finding("task_gone", sentence, about=task, step=step, steps=steps or None)


def call_misfits(task: str, step: str, steps: int, why: str) -> Finding:
    """A call does not fit the parameters that its task has now."""
    sentence = f"The call of {task} in {_steps(step, steps)} does not fit its parameters any more: {why}."
    return Finding("call_misfits", sentence, about=task, step=step, steps=steps)


def step_changed(task: str, step: str, steps: int) -> Finding:
    """The code of a step is not what it was paused with."""
    sentence = f"The code of {task}, which {_steps(step, steps)} call{'s' * (steps == 1)}, has changed since the pause."
    return Finding("step_changed", sentence, accept=CODE, about=task, step=step, steps=steps)


def workflow_changed(workflow: str, *, is_gone: bool) -> Finding:
    """The function of a workflow is not what the operation was paused with."""
    how = "is registered here no more" if is_gone else "has changed since the pause"
    return Finding("workflow_changed", f"The workflow {workflow} {how}.", accept=CODE, about=workflow)


def code_unknown(why: str) -> Finding:
    """Whether the code has changed cannot be told."""
    return Finding("code_unknown", f"Whether the code has changed cannot be told: {why}.", blocks=False)


def code_outdated(file: str) -> Finding:
    """A file of code is not what this process has loaded: what the other findings say of it is of the old code."""
    sentence = f"{file} has changed since this process loaded it: restart the service and its workers, and look again."
    return Finding("code_outdated", sentence, blocks=False, about=file)


def secret_missing(name: str, why: str, *, is_of_code: bool) -> Finding:
    """A secret cannot be found that a step asks for or, which only warns, that a notification goes to."""
    return Finding("secret_missing", why, blocks=is_of_code, accept=ENVIRONMENT if is_of_code else None, about=name)


def store_missing(location: str, why: str) -> Finding:
    """A store cannot be used in which targets are to be kept, or results lie."""
    return Finding("store_missing", why, accept=ENVIRONMENT, about=location)


def result_missing(place: str, step: str, why: str) -> Finding:
    """A result that the rest needs is not where it was put."""
    sentence = f"The result of {step}, which the rest needs, cannot be reached at {place}: {why}."
    return Finding("result_missing", sentence, accept=ENVIRONMENT, about=place, step=step, steps=1)


def no_worker(queue: str, step: str, steps: int) -> Finding:
    """No worker that lives takes messages from a queue: what goes there waits until one does."""
    sentence = f"No worker listens to the queue {queue!r}: {_steps(step, steps)} will wait there for one."
    return Finding("no_worker", sentence, blocks=False, about=queue, step=step, steps=steps)


def _steps(step: str | None, many: int) -> str:
    return f"step {step}" if many == 1 else f"{many} steps ({step} first)"
