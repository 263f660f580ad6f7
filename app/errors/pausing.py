"""Errors of the pause primitive."""

from __future__ import annotations


class PauseIntervalInvalid(ValueError):
    """Pause points cannot be put after every `nth` link: `nth` is not a whole number of 0 or more."""

    def __init__(self, nth: object) -> None:
        self.nth = nth
        super().__init__(nth)

    def __str__(self) -> str:
        return f"nth must be a whole number, 0 (only the pause points placed by hand) or more, not {self.nth!r}."


class PauseSignatureInvalid(TypeError):
    """A clause or callback is not the signature of one task; `role` says which, `given` is what came instead."""

    def __init__(self, role: str, given: object) -> None:
        self.role = role
        self.given = given
        super().__init__(role, given)

    def __str__(self) -> str:
        return (
            f"The {self.role} of a pause point must be the signature of one task, as in task.s(7), not {self.given!r}."
        )


class PausePointIncomplete(ValueError):
    """A pause point was reached that has no clause or no callback, and nothing around it that supplies one."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        super().__init__(missing)

    def __str__(self) -> str:
        return (
            f"This pause point has no {self.missing}: give it one, pause_or_continue.s({self.missing}=task.s(...)), "
            "or put it into a canvas that goes through tappable()."
        )


class PausingNeedsWorker(RuntimeError):
    """A clause asked to pause in Celery's eager mode, where what remains to be run is not known and would be lost."""

    def __init__(self) -> None:
        super().__init__()

    def __str__(self) -> str:
        return "A pause was asked for in eager mode, which hides the rest of the workflow: pause it on a worker."
