"""The registry of workflows: the decorator `@workflow`, the parameters of each, and how modules are loaded."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from celery.canvas import Signature
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json

from pausable.canvas.flow import Flow
from pausable.canvas.task import is_author_error
from pausable.errors import (
    ArgumentsInvalid,
    CanvasRefused,
    ModuleUnusable,
    NotACanvas,
    WorkflowMalformed,
    WorkflowRaised,
    WorkflowTwice,
    WorkflowUnknown,
)
from pausable.notifications.notification import Notification
from pausable.processes import ending_children
from pausable.texts import named_faults
from pausable.workflows.step import notifications_of, workflow_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType

    from pausable.engine.policies import WorkflowPolicy

#: The parameter that is filled in and never asked for.
OPERATION_ID = "operation_id"

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Parameters:
    """What a workflow asks for; `takes_operation_id` tells whether its function wants that filled in.

    The fields of `model` have numbered names and the parameters' own as aliases: so a parameter may be called `schema`
    or `copy`, which pydantic keeps for itself.
    """

    workflow: str
    model: type[BaseModel]
    takes_operation_id: bool

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        return self.model.model_json_schema()

    def named(self, args: Sequence[object]) -> dict[str, object]:
        """Positional arguments by the names of the parameters that take them, left to right.

        Raises:
            ArgumentsInvalid: There are more than the workflow takes.
        """
        names = [str(field.alias) for field in self.model.model_fields.values()]
        if len(args) > len(names):
            message = f"takes {len(names)} arguments, {len(args)} were given"
            raise ArgumentsInvalid(self.workflow, [{"field": "", "message": message}])
        return dict(zip(names, args, strict=False))

    def normalise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as JSON holds them, defaults filled in.

        Raises:
            ArgumentsInvalid: They do not fit; it names the bad fields.
        """
        return self._fitted(arguments).model_dump(mode="json", by_alias=True)

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them: of the types that it declares, defaults filled in.

        Raises:
            ArgumentsInvalid: They do not fit; it names the bad fields.
        """
        fitted = self._fitted(arguments)
        return {str(field.alias): getattr(fitted, name) for name, field in self.model.model_fields.items()}

    def _fitted(self, arguments: Mapping[str, Any]) -> BaseModel:
        # Through JSON, pydantic's strict mode takes "2024-05-01" for a date, and neither "1" nor true for a number.
        try:
            return self.model.model_validate_json(to_json(arguments))
        except ValidationError as invalid:
            faults = list(_misfits(invalid))
        except PydanticSerializationError:
            faults = list(self._unwritable(arguments))
        raise ArgumentsInvalid(self.workflow, named_faults(faults))

    def _unwritable(self, arguments: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """The faults of arguments that JSON cannot hold: each that it cannot, and the misfits among the others."""
        writable = dict(arguments)
        for name, value in arguments.items():
            try:
                to_json({name: value})
            except PydanticSerializationError:
                del writable[name]
                yield {"field": _printable(name), "message": "JSON cannot hold this value"}
        try:
            self.model.model_validate_json(to_json(writable))
        except ValidationError as invalid:
            yield from (
                fault for fault in _misfits(invalid) if fault["field"] not in arguments.keys() - writable.keys()
            )


def parameters_of(workflow: str, function: Callable[..., Any]) -> Parameters:
    """Derive a workflow's parameters from its function.

    Raises:
        WorkflowMalformed: A parameter has no name that an argument can be given by, no type, or an unusable one.
    """
    asked = dict(inspect.signature(function).parameters)
    for parameter in asked.values():
        _refuse_unusable(workflow, parameter)
    takes_operation_id = asked.pop(OPERATION_ID, None) is not None
    types = _types(workflow, function, asked)
    fields: dict[str, Any] = {
        f"field_{number}": (types[name], _field(parameter)) for number, (name, parameter) in enumerate(asked.items())
    }
    return Parameters(workflow, _model(workflow, fields), takes_operation_id)


def _refuse_unusable(workflow: str, parameter: inspect.Parameter) -> None:
    if parameter.kind not in _NAMED:
        why = f"its parameter {parameter} cannot be given by name: leave out *args, **kwargs and a lone /"
        raise WorkflowMalformed(workflow, why)
    if isinstance(parameter.default, FieldInfo):
        why = f"its parameter {parameter.name!r} has a Field as default: write Annotated[type, Field(…)] = default"
        raise WorkflowMalformed(workflow, why)


def _types(workflow: str, function: Callable[..., Any], asked: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    written = {name: parameter.annotation for name, parameter in asked.items()}
    for name, annotation in written.items():
        if annotation is inspect.Parameter.empty:
            raise WorkflowMalformed(workflow, f"its parameter {name!r} has no type: write, for example, {name}: int")
    # Only the parameters: what the function returns may be named for the type checker alone.
    holder = SimpleNamespace(__annotations__=written)
    try:
        return get_type_hints(holder, getattr(inspect.unwrap(function), "__globals__", {}), include_extras=True)
    except (NameError, SyntaxError, TypeError) as fault:
        why = f"a parameter's type is not known when the module runs ({fault}): import it outside TYPE_CHECKING"
        raise WorkflowMalformed(workflow, why) from fault


def _field(parameter: inspect.Parameter) -> Any:
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    return Field(default, alias=parameter.name)


def _model(workflow: str, fields: dict[str, Any]) -> type[BaseModel]:
    config = ConfigDict(title=workflow, strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    try:
        return create_model(workflow, __config__=config, **fields)
    except Exception as fault:  # whatever pydantic, or a type's own hook, objects to
        raise WorkflowMalformed(workflow, f"a parameter's type cannot be used: {fault}") from fault


def _misfits(invalid: ValidationError) -> Iterator[dict[str, str]]:
    for error in invalid.errors(include_url=False, include_input=False):
        message = "There is no such parameter" if error["type"] == "extra_forbidden" else error["msg"]
        field = ".".join(map(str, error["loc"]))
        yield {"field": _printable(field), "message": message.removeprefix("Value error, ")}


def _printable(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


#: What a workflow function returns: signatures put together by `|`, `chain`, `group` or `chord`. Each is a dict.
Canvas = dict[str, Any]
Built = Canvas | Flow

#: The modules of the shipped workflows.
SHIPPED = ("pausable.workflows.shipped.add_numbers", "pausable.workflows.shipped.count_by")

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
            if not is_author_error(fault):
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
        if not is_author_error(fault):
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
