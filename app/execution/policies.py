"""What authors ask for their steps and workflows beside code: handlers, triggers, retries, notifications."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from app.domain.triggers import Trigger, all_successful

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from celery import Celery

    from app.domain.retries import Retries
    from app.handlers.base import StateHandler
    from app.notifications.base import Notification
    from app.results.base import Result
    from app.results.targets import Target


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """What the author of a task asks for its steps; a task of plain Celery's asks for nothing."""

    handlers: tuple[StateHandler, ...] = ()
    trigger: Trigger = all_successful
    skip_on_upstream_skip: bool = True
    retries: Retries | None = None
    count_paused_time: bool = False
    notify: tuple[Notification, ...] = ()
    target: Target | None = None
    serializer: str = "json"
    #: The store of its targets; by default that of its workflow.
    result: Result | None = None

    @property
    def is_plain(self) -> bool:
        """Whether a step of it may end, when one before it fails, without anybody asking or telling."""
        is_asked = self.trigger is not all_successful or not self.skip_on_upstream_skip
        return not (is_asked or self.handlers or self.notify or self.target)


@dataclass(frozen=True, slots=True)
class WorkflowPolicy:
    """What the author of a workflow asks for its operations."""

    handlers: tuple[StateHandler, ...] = ()
    reference: tuple[str, ...] = ()
    notify: tuple[Notification, ...] = ()
    pause_every: int = 1
    #: The store of the targets of its steps; by default that of the setting RESULTS.
    result: Result | None = None
    #: What was decorated.
    function: Callable[..., Any] | None = None


_NO_STEPS: Final = StepPolicy()
_NO_WORKFLOWS: Final = WorkflowPolicy()


@dataclass(slots=True)
class Policies:
    """The policies of all tasks and workflows that this process knows."""

    app: Celery
    _of_tasks: dict[str, StepPolicy] = field(default_factory=dict)
    _of_workflows: dict[str, WorkflowPolicy] = field(default_factory=dict)
    #: Whether any workflow has state handlers: else nobody needs to look which.
    has_handlers: bool = False
    #: The notifications of every operation, whatever its workflow.
    everywhere: tuple[Notification, ...] = ()

    def learn(self, workflows: Mapping[str, WorkflowPolicy], everywhere: Sequence[Notification] = ()) -> None:
        """Take the policies of the workflows that this process has loaded, and what is asked for all of them."""
        self.everywhere = tuple(everywhere)
        self._of_workflows.update(workflows)
        self.has_handlers = any(policy.handlers for policy in self._of_workflows.values())

    def notifications(self) -> Iterator[Notification]:
        """Yield every notification that any task or workflow asks for, and those for all."""
        for name in sorted(self.app.tasks):
            yield from self.of_task(name).notify
        for policy in self._of_workflows.values():
            yield from policy.notify
        yield from self.everywhere

    def stores(self) -> Iterator[Result]:
        """Yield every store of results that a task or a workflow names."""
        named = [self.of_task(name).result for name in self.app.tasks]
        named += [policy.result for policy in self._of_workflows.values()]
        yield from (store for store in named if store is not None)

    def of_task(self, name: str) -> StepPolicy:
        """The policy of a task, by its registered name."""
        known = self._of_tasks.get(name)
        if known is None:
            known = self._of_tasks[name] = getattr(self.app.tasks.get(name), "policy", _NO_STEPS)
        return known

    def of_workflow(self, name: str) -> WorkflowPolicy:
        """The policy of a workflow, by its name."""
        return self._of_workflows.get(name, _NO_WORKFLOWS)
