"""What authors ask for their steps and workflows beside code: handlers, triggers, retries, notifications."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pausable import clock
from pausable.documents.fingerprint import keep_source
from pausable.errors import FlowOptionTwice
from pausable.model.identity import hears_of_header
from pausable.model.triggers import Trigger, all_successful

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from celery import Celery

    from pausable.db.operations import Operation
    from pausable.engine.handlers import StateHandler
    from pausable.model.retries import Retries
    from pausable.notifications.notification import Notification
    from pausable.results.base import Result
    from pausable.results.targets import Target


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
    #: Who edits what remains of its operations, "owner" or "admin"; by default what the setting EDITS says.
    editable: str | None = None
    #: The store of the targets of its steps; by default that of the setting RESULTS.
    result: Result | None = None
    #: What was decorated.
    function: Callable[..., Any] | None = None
    #: Build the policy of one operation, by its id and arguments, with what the flow asks for that it returned.
    of_operation: Callable[[int, Mapping[str, Any]], WorkflowPolicy] | None = None

    def joined(self, name: str, flow: WorkflowPolicy) -> WorkflowPolicy:
        """Return this policy of the workflow `name` with the options of the flow that it returned.

        Raises FlowOptionTwice for an option that both have.
        """
        for option in _OF_FLOWS:
            if getattr(self, option) and getattr(flow, option):
                raise FlowOptionTwice(name, _HANDLERS if option == "handlers" else option)
        return replace(self, **{option: getattr(flow, option) or getattr(self, option) for option in _OF_FLOWS})

    def told(self) -> str | None:
        """Return as JSON what an operation's row has to say of these options, of a flow; None where there are none."""
        if not (self.handlers or self.notify or self.result):
            return None
        return json.dumps({"handlers": bool(self.handlers), "notify": [list(one.words) for one in self.notify]})


class OfFlow(NamedTuple):
    """A notification of a flow as far as the row of its operation tells: of which changes it is to be sent."""

    words: tuple[str, ...]


class FlowOptions(NamedTuple):
    """What `WorkflowPolicy.told` wrote into the row of an operation."""

    has_handlers: bool = False
    notify: tuple[OfFlow, ...] = ()


@lru_cache(256)
def _flow_options(told: str | None) -> FlowOptions:
    """Return the options that a row holds; the operations of one workflow hold the same text."""
    if told is None:
        return FlowOptions()
    found = json.loads(told)
    return FlowOptions(found["handlers"], tuple(OfFlow(tuple(words)) for words in found["notify"]))


#: The options that a workflow and the flow that it returns may both have.
_OF_FLOWS: Final = ("handlers", "reference", "notify", "result")
#: What authors write of which handlers are made.
_HANDLERS: Final = "state handlers (state_handlers, on_failure, on_success)"
#: Operations whose policies are kept at a time.
_MOST: Final = 256
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
    #: When this process had loaded its workflows, in seconds since the epoch.
    loaded_at: float | None = None
    #: Who edits operations of workflows that do not say: "owner" or "admin".
    edits: str = "admin"
    _of_operations: dict[int, WorkflowPolicy] = field(default_factory=dict)

    def learn(self, workflows: Mapping[str, WorkflowPolicy], everywhere: Sequence[Notification] = ()) -> None:
        """Take the policies of the workflows that this process has loaded, and what is asked for all of them."""
        self.everywhere = tuple(everywhere)
        self.loaded_at = self.loaded_at or clock.now()
        self._of_workflows.update(workflows)
        for policy in workflows.values():
            if isinstance(policy.function, FunctionType):
                keep_source(policy.function)
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

    def is_plain(self, call: Mapping[str, Any]) -> bool:
        """Whether a step that calls this may end, when one before it fails, without anybody asking or telling."""
        return self.of_task(call["task"]).is_plain and not hears_of_header(call)

    def of_workflow(self, name: str) -> WorkflowPolicy:
        """The policy of a workflow, by its name."""
        return self._of_workflows.get(name, _NO_WORKFLOWS)

    def editor_of(self, workflow: str) -> str:
        """Return who edits what remains of an operation of this workflow: "owner", as well as admins, or "admin"."""
        return self.of_workflow(workflow).editable or self.edits

    def of_operation(self, operation: Operation) -> WorkflowPolicy:
        """Return the policy of an operation's workflow, with what the flow asks for that the workflow returned.

        Builds that flow again: the author's code runs, so call it outside of every transaction. Raises whatever it
        raises.
        """
        policy = self.of_workflow(operation.workflow)
        if operation.flow_options is None or policy.of_operation is None:
            return policy
        known = self._of_operations.get(operation.id)
        if known is None:
            known = policy.of_operation(operation.id, json.loads(operation.arguments))
            if len(self._of_operations) >= _MOST:
                self._of_operations.clear()
            self._of_operations[operation.id] = known
        return known

    def asks_handlers(self, operation: Operation) -> bool:
        """Return whether the operation has state handlers; runs none of the author's code."""
        of_flow = _flow_options(operation.flow_options).has_handlers
        self.has_handlers |= of_flow
        return of_flow or bool(self.of_workflow(operation.workflow).handlers)

    def notify_of(self, operation: Operation) -> tuple[str, Sequence[Notification | OfFlow]]:
        """Return where an operation's notifications stand, and of which changes; runs none of the author's code."""
        of_flow = _flow_options(operation.flow_options).notify
        if of_flow:
            return f"flow:{operation.workflow}", of_flow
        return f"workflow:{operation.workflow}", self.of_workflow(operation.workflow).notify
