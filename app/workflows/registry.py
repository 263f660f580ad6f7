"""The workflows there are: the decorator that makes one of a function, and their collection from modules.

There is no list that an import fills in silently: `load_workflows` imports modules and looks at what they hold.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from celery.canvas import Signature

from app.errors import (
    CanvasRefused,
    ModuleUnusable,
    NotACanvas,
    WorkflowMalformed,
    WorkflowRaised,
    WorkflowTwice,
    WorkflowUnknown,
)
from app.execution.exits import is_of_the_code
from app.execution.flow import Flow
from app.notifications.base import Notification
from app.processes import ending_children
from app.workflows.parameters import OPERATION_ID, Parameters, parameters_of
from app.workflows.step import notifications_of, workflow_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType

    from app.execution.policies import WorkflowPolicy

#: What a workflow function returns: signatures put together by `|`, `chain`, `group` or `chord`. Each is a dict.
Canvas = dict[str, Any]
Built = Canvas | Flow

#: The modules of the shipped workflows.
SHIPPED = ("app.workflows.add_numbers", "app.workflows.count_by")

#: The code of the service, which is rarely where the fault of an author's module is.
_OURS = Path(__file__).parents[1]
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SENTENCE = re.compile(r"(.*?[.!?])(?=\s+[A-Z]|\s*$)")


@dataclass(frozen=True, eq=False)
class Workflow:
    """A named recipe: called, it is the function it was made of; built, the canvas of one operation."""

    name: str
    pause_every: int
    summary: str
    function: Callable[..., Built]
    parameters: Parameters
    policy: WorkflowPolicy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function itself returns."""
        return self.function(*args, **kwargs)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments; a parameter named `operation_id` is filled in and not among them."""
        return self.parameters.schema()

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as JSON holds them, defaults filled in.

        Raises:
            ArgumentsInvalid: They do not fit; it names every bad field.
        """
        return self.parameters.normalise(arguments)

    def build(self, operation_id: int, arguments: Mapping[str, Any]) -> Any:
        """The canvas, or the flow, of an operation with these arguments.

        Raises:
            ArgumentsInvalid: They do not fit; it names every bad field.
            NotACanvas: The function returned something else.
        """
        values = self.parameters.values(arguments)
        if self.parameters.takes_operation_id:
            values[OPERATION_ID] = operation_id
        with ending_children():  # a child would start the operation a second time
            canvas: Any = self.function(**values)
        if not isinstance(canvas, Signature | Flow):
            raise NotACanvas(canvas, self.name)
        return canvas

    def policy_of(self, operation_id: int, arguments: Mapping[str, Any]) -> WorkflowPolicy:
        """Return what an operation with these arguments asks for: the options of the workflow and those of its flow.

        Raises what `build` raises, and FlowOptionTwice.
        """
        own = flow_policy(self.build(operation_id, arguments))
        return self.policy.joined(self.name, own) if own and own.told() else self.policy

    def canvas(self, operation_id: int, arguments: Mapping[str, Any]) -> Any:
        """What `build` gives, for a service that tells people what the author's code raised.

        Raises CanvasRefused, and WorkflowRaised where the function raised anything else.
        """
        try:
            return self.build(operation_id, arguments)
        except CanvasRefused:
            raise
        except BaseException as fault:  # whatever the author's function raises
            if not is_of_the_code(fault):
                raise
            raise WorkflowRaised(self.name, fault) from fault


def workflow(
    name: str, *, pause_every: int = 1, editable: str | None = None, **options: Any
) -> Callable[[Callable[..., Built]], Workflow]:
    """Make a workflow of a function that returns a canvas; its parameters are what an operation is asked for.

    Give it a unique `name`, and in `pause_every` after how many links of its chain a pause is noticed: 1 for each,
    0 for none but the pause points that the canvas holds already. `reference=[…]` names the steps whose ends decide
    how an operation ends, by slug, by task or by its name: by default those that no other waits for. `editable` is who
    may edit what remains of a paused operation, "owner" or "admin": by default what the setting EDITS says. The other
    options are `state_handlers`, `on_failure`, `on_success`, `notify` and `result`.

    Raises:
        WorkflowMalformed: The name, `pause_every` or a parameter of the function cannot be used.
        StepOptionInvalid: Another option cannot be used, or is none.
    """
    if not _NAME.fullmatch(str(name)):
        raise WorkflowMalformed(str(name), 'its name is no word of letters, digits and "-": write @workflow("report")')
    if pause_every < 0:
        raise WorkflowMalformed(name, f"pause_every is {pause_every}, but it counts links: give 0 or more")
    if editable not in (None, "owner", "admin"):
        raise WorkflowMalformed(name, f"editable is {editable!r}, but it says who may edit: give 'owner' or 'admin'")

    policy = replace(workflow_policy(options, "a workflow"), pause_every=pause_every, editable=editable)

    def decorate(function: Callable[..., Built]) -> Workflow:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise WorkflowMalformed(name, "its function is async, and nobody awaits it: write `def`")
        whole = replace(policy, function=function)
        made = Workflow(name, pause_every, _summary(function), function, parameters_of(name, function), whole)
        # The policy of one operation is made by the workflow itself, which has to be there first.
        object.__setattr__(made, "policy", replace(whole, of_operation=made.policy_of))
        return made

    return decorate


def flow_policy(canvas: object) -> WorkflowPolicy | None:
    """Return the options of what a workflow function returned, if that is a flow with options."""
    return getattr(canvas, "policy", None) if isinstance(canvas, Flow) else None


def _summary(function: Callable[..., Any]) -> str:
    paragraph = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    sentence = _SENTENCE.match(paragraph)
    return sentence[1] if sentence else paragraph


class NotifyAll(tuple[Notification, ...]):
    """Notifications of every operation, whatever its workflow, when it stands in a module of WORKFLOWS."""

    __slots__ = ()

    def __new__(cls, *notifications: Notification) -> NotifyAll:
        """Raises StepOptionInvalid when one is no notification."""
        return super().__new__(cls, notifications_of({"notify": notifications}))


class Workflows:
    """Workflows by name; iterating gives them sorted by it. `everywhere` are the notifications of all of them."""

    def __init__(self, workflows: Mapping[str, Workflow], everywhere: Sequence[Notification] = ()) -> None:
        self._by_name = dict(sorted(workflows.items()))
        self.everywhere = tuple(everywhere)

    def get(self, name: str) -> Workflow:
        """The workflow of that name.

        Raises:
            WorkflowUnknown: There is none; it tells the names that look like it.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise WorkflowUnknown(name, get_close_matches(name, self._by_name)) from None

    __getitem__ = get

    @property
    def names(self) -> Collection[str]:
        """The names of all, sorted."""
        return self._by_name.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Workflow]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)


def load_workflows(modules: Sequence[str] = ()) -> Workflows:
    """Import the shipped modules and these, and collect the workflows that they hold.

    Raises:
        ModuleUnusable: A module does not import, or holds no workflow.
        WorkflowTwice: Two workflows have the same name.
    """
    found: dict[str, Workflow] = {}
    homes: dict[str, str] = {}
    for module in dict.fromkeys((*SHIPPED, *modules)):
        for one in _workflows_in(module):
            if found.setdefault(one.name, one) is not one:
                raise WorkflowTwice(one.name, [homes[one.name], module])
            homes.setdefault(one.name, module)
    return Workflows(found, tuple(_everywhere_in(modules)))


def _everywhere_in(modules: Iterable[str]) -> Iterator[Notification]:
    """Yield the notifications for all that the modules hold, each once: a module may import those of another."""
    values = (value for module in modules for value in vars(_imported(module)).values())
    for notifications in {id(value): value for value in values if isinstance(value, NotifyAll)}.values():
        yield from notifications


def _workflows_in(module: str) -> list[Workflow]:
    workflows = [value for value in vars(_imported(module)).values() if isinstance(value, Workflow)]
    if not workflows:
        raise ModuleUnusable(module, "it holds no workflow: put @workflow on a function in it, or leave it out")
    return workflows


def _imported(module: str) -> ModuleType:
    try:
        return import_module(module)
    except BaseException as fault:  # a user's module may raise anything while it is imported
        if not is_of_the_code(fault):
            raise
        raise ModuleUnusable(module, _why_not_imported(module, fault)) from fault


def _why_not_imported(module: str, fault: BaseException) -> str:
    """Return what was wrong and where: a module that is not found, or the line of the author's that raised."""
    if isinstance(fault, ModuleNotFoundError) and f"{module}.".startswith(f"{fault.name}."):
        return f"there is no module {fault.name}: correct the name, or put its folder on PYTHONPATH"
    if isinstance(fault, SyntaxError):
        return f"{fault.filename}, line {fault.lineno}: {type(fault).__name__}: {fault.msg}"
    frames = [one for one in extract_tb(fault.__traceback__) if "importlib" not in one.filename]
    theirs = [one for one in frames if not Path(one.filename).is_relative_to(_OURS)] or frames
    return f"{theirs[-1].filename}, line {theirs[-1].lineno}: {type(fault).__name__}: {fault}".rstrip(".")
