"""Errors that a step meets, or its worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ClaimLost(Exception):
    """A worker's claim is no longer the newest: what it wanted to write was written by nobody."""

    def __init__(self, operation_id: int) -> None:
        self.operation_id = operation_id
        super().__init__(f"A claim on a step of operation {operation_id} was lost.")


class ResultRefused(Exception):
    """A step returned a value that JSON cannot hold; `at` is where in it, such as `["rows"][3]`."""

    def __init__(self, task: str, why: str, at: str = "") -> None:
        self.task = task
        self.at = at
        super().__init__(f"{task} returned a value that JSON cannot hold: {why}{at and f', at {at}'}.")


class TaskMissing(Exception):
    """A worker was given a step whose task it does not have."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(f"This worker has no task {task}: name its module in WORKFLOWS and restart the worker.")


class NotAnEnding(Exception):
    """A step's code ended in a state that tells neither of a result nor of a failure."""

    def __init__(self, task: str, state: str) -> None:
        self.task = task
        self.state = state
        super().__init__(f"{task} ended {state} without a result: an operation cannot go on from there.")


class RequestChanged(Exception):
    """A step's code changed what leads on from it in its request, where an operation does not keep that."""

    def __init__(self, task: str, names: Sequence[str]) -> None:
        self.task = task
        self.names = list(names)
        super().__init__(
            f"{task} changed self.request.{', self.request.'.join(names)}, which decides nothing in an operation: "
            "raise signals.SKIP to end what follows, or return self.replace(canvas) to put something else there."
        )


class AddToChordRefused(Exception):
    """A step's code asked for a place in the chord that it is a member of."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(
            f"{task} called add_to_chord, which an operation does not have: "
            "return self.replace(group(…)) to hand on the values of several calls."
        )


class HardLimitNeedsPrefork(Exception):
    """A worker's pool cannot keep the hard time limit that a task has: only a process can be killed."""

    def __init__(self, pool: str, tasks: Sequence[str]) -> None:
        self.pool = pool
        self.tasks = list(tasks)
        super().__init__(
            f"The pool {pool!r} cannot keep the time_limit of {', '.join(tasks)}: "
            "start the worker with --pool prefork, or give these tasks a soft_time_limit instead."
        )


class StepNotFound(Exception):
    """The operation has no step of that name."""

    def __init__(self, operation_id: int, slug: str) -> None:
        self.operation_id = operation_id
        self.slug = slug
        super().__init__(f"Operation {operation_id} has no step {slug!r}.")


class WorkerLost(Exception):
    """The workers that ran a step were lost, one after the other: it is not given to another."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        super().__init__(f"Its worker was lost {losses} times.")


class TimeLimitPassed(Exception):
    """A step ran for longer than its hard time limit, and its process was killed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"It was killed because it ran for longer than its time limit of {seconds:g} s.")


class StateMalformed(Exception):
    """What should be a state, written down, is none."""

    def __init__(self, facts: object, why: str) -> None:
        self.facts = facts
        self.why = why
        super().__init__(f"This is no state: {why}.")


class HandlerAnswered(Exception):
    """A state handler returned something that cannot be kept there."""

    def __init__(self, handler: str, answer: object, wanted: str) -> None:
        self.handler = handler
        self.answer = answer
        super().__init__(f"The state handler {handler} returned {answer!r}: it must return {wanted}, or None.")


class StepOptionInvalid(Exception):
    """An option of `@step` or `@workflow` cannot be used."""

    def __init__(self, option: str, why: str) -> None:
        self.option = option
        self.why = why
        super().__init__(f"{option} {why}.")


class PlaceRefused(Exception):
    """A step's code gave `cursor.keep` something that cannot be kept."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"cursor.keep was given {what} that {why}.")


class PlaceRefusedToChild(Exception):
    """A process that a step's code has started called `cursor.keep`; the place is its parent's to keep."""

    def __init__(self) -> None:
        super().__init__(
            "cursor.keep was called in a child process of the step: keep the place in the process that runs the step."
        )


class PlaceOfAnother(Exception):
    """The place that a step has kept is no count of rows, which `cursor.over` goes on behind."""

    def __init__(self, place: object) -> None:
        self.place = place
        super().__init__(
            f"cursor.over found {str(place)[:80]!r} kept: it goes on behind a number of rows. "
            "Keep places by cursor.keep or by cursor.over, not by both in one step."
        )


class OverTwice(Exception):
    """A step's code has gone through two things by `cursor.over`, but keeps one place."""

    def __init__(self) -> None:
        super().__init__(
            "cursor.over was called twice in one step, which has one place to keep: make two steps of it, "
            "or go over itertools.chain(first, second)."
        )
