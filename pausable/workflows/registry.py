"""The registry of workflows: the decorator `@workflow`, their parameters, and loading them from modules."""

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

#: The parameter that the service fills in.
OPERATION_ID = "operation_id"

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a workflow; `takes_operation_id` says whether its function has a parameter `operation_id`.

    The fields of `model` have numbered names with the parameters' names as aliases, so that a parameter may have a name
    reserved by pydantic, such as `schema` or `copy`.
    """

    workflow: str
    model: type[BaseModel]
    takes_operation_id: bool

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        return self.model.model_json_schema()

    def named(self, args: Sequence[object]) -> dict[str, object]:
        """Return positional arguments by the names of their parameters.

        Raises:
            ArgumentsInvalid: There are more than the workflow has parameters.
        """
        names = [str(field.alias) for field in self.model.model_fields.values()]
        if len(args) > len(names):
            message = f"takes {len(names)} arguments, but {len(args)} were given"
            raise ArgumentsInvalid(self.workflow, [{"field": "", "message": message}])
        return dict(zip(names, args, strict=False))

    def normalise(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as JSON values with defaults filled in.

        Raises:
            ArgumentsInvalid: They do not fit; it names the fields at fault.
        """
        return self._fitted(arguments).model_dump(mode="json", by_alias=True)

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments in the types that the function declares, with defaults filled in.

        Raises:
            ArgumentsInvalid: They do not fit; it names the fields at fault.
        """
        fitted = self._fitted(arguments)
        return {str(field.alias): getattr(fitted, name) for name, field in self.model.model_fields.items()}

    def _fitted(self, arguments: Mapping[str, Any]) -> BaseModel:
        # In JSON mode, strict pydantic accepts "2024-05-01" as a date, but neither "1" nor true as a number.
        try:
            return self.model.model_validate_json(to_json(arguments))
        except ValidationError as invalid:
            faults = list(_misfits(invalid))
        except PydanticSerializationError:
            faults = list(self._unwritable(arguments))
        raise ArgumentsInvalid(self.workflow, named_faults(faults))

    def _unwritable(self, arguments: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """Yield the faults of arguments of which JSON cannot hold some, together with those of the others."""
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
    """Derive the parameters of a workflow from its function.

    Raises:
        WorkflowMalformed: A parameter cannot be given by name, has no type, or an unusable one.
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
    # parameters only: the return type may be imported for the type checker alone
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
    except Exception as fault:  # pydantic, or a hook of the type itself, may raise anything
        raise WorkflowMalformed(workflow, f"a parameter's type cannot be used: {fault}") from fault


def _misfits(invalid: ValidationError) -> Iterator[dict[str, str]]:
    for error in invalid.errors(include_url=False, include_input=False):
        message = "There is no such parameter" if error["type"] == "extra_forbidden" else error["msg"]
        field = ".".join(map(str, error["loc"]))
        yield {"field": _printable(field), "message": message.removeprefix("Value error, ")}


def _printable(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


#: What a workflow function returns: a signature, composed with `|`, `chain`, `group` or `chord`. Each is a dict.
Canvas = dict[str, Any]
Built = Canvas | Flow

#: The modules of the shipped workflows.
SHIPPED = ("pausable.workflows.shipped.add_numbers", "pausable.workflows.shipped.count_by")

#: Folders of the service's own code, which an error in an author's module is not reported at.
_OURS = Path(__file__).parents[1]
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SENTENCE = re.compile(r"(.*?[.!?])(?=\s+[A-Z]|\s*$)")


@dataclass(frozen=True, eq=False)
class Workflow:
    """A named workflow: calling it calls the function; `build` returns the canvas of an operation."""

    name: str
    pause_every: int
    summary: str
    function: Callable[..., Built]
    parameters: Parameters
    policy: WorkflowPolicy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function itself returns."""
        return self.function(*args, **kwargs)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments; a parameter named `operation_id` is not among them."""
        return self.parameters.schema()

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as JSON values with defaults filled in.

        Raises:
            ArgumentsInvalid: They do not fit; it names every field at fault.
        """
        return self.parameters.normalise(arguments)

    def build(self, operation_id: int, arguments: Mapping[str, Any]) -> Any:
        """Return the canvas, or the flow, of an operation with these arguments.

        Raises:
            ArgumentsInvalid: They do not fit; it names every field at fault.
            NotACanvas: The function returned something else.
        """
        values = self.parameters.values(arguments)
        if self.parameters.takes_operation_id:
            values[OPERATION_ID] = operation_id
        with ending_children():  # a forked child would start the operation a second time
            canvas: Any = self.function(**values)
        if not isinstance(canvas, Signature | Flow):
            raise NotACanvas(canvas, self.name)
        return canvas

    def policy_of(self, operation_id: int, arguments: Mapping[str, Any]) -> WorkflowPolicy:
        """Return the options of an operation with these arguments: those of the workflow and of its flow.

        Raises:
            FlowOptionTwice: Both set the same option; or what `build` raises.
        """
        own = flow_policy(self.build(operation_id, arguments))
        return self.policy.joined(self.name, own) if own and own.told() else self.policy

    def canvas(self, operation_id: int, arguments: Mapping[str, Any]) -> Any:
        """Return what `build` returns, with errors of the author's function reported.

        Raises:
            CanvasRefused: The canvas cannot be run.
            WorkflowRaised: The function raised anything else.
        """
        try:
            return self.build(operation_id, arguments)
        except CanvasRefused:
            raise
        except BaseException as fault:  # the author's function may raise anything
            if not is_author_error(fault):
                raise
            raise WorkflowRaised(self.name, fault) from fault


def workflow(
    name: str, *, pause_every: int = 1, editable: str | None = None, **options: Any
) -> Callable[[Callable[..., Built]], Workflow]:
    """Make a workflow of a function that returns a canvas; the function's parameters become those of operations.

    Args:
        name: A unique name of letters, digits and "-".
        pause_every: Number of links between two pause points; 0 keeps only those in the canvas.
        editable: Who may edit a paused operation, "owner" or "admin"; by default the setting EDITS decides.
        **options: `reference=[…]` names the steps whose states decide the operation's final state, by slug, task or
        task name (by default, the steps without downstream steps); also `state_handlers`, `on_failure`, `on_success`,
        `notify` and `result`.

    Returns:
        The decorator.

    Raises:
        WorkflowMalformed: The name, `pause_every`, `editable` or a parameter of the function is invalid.
        StepOptionInvalid: Another option is invalid or unknown.
    """
    if not _NAME.fullmatch(str(name)):
        raise WorkflowMalformed(
            str(name), 'its name may contain only letters, digits and "-": write @workflow("report")'
        )
    if pause_every < 0:
        raise WorkflowMalformed(name, f"pause_every is {pause_every}, but it is a number of links: use 0 or more")
    if editable not in (None, "owner", "admin"):
        raise WorkflowMalformed(name, f"editable is {editable!r}, but must say who may edit: use 'owner' or 'admin'")

    policy = replace(workflow_policy(options, "a workflow"), pause_every=pause_every, editable=editable)

    def decorate(function: Callable[..., Built]) -> Workflow:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise WorkflowMalformed(name, "its function is async, which is not supported: write `def`")
        whole = replace(policy, function=function)
        made = Workflow(name, pause_every, _summary(function), function, parameters_of(name, function), whole)
        # The policy of one operation is computed by the workflow, which must exist first.
        object.__setattr__(made, "policy", replace(whole, of_operation=made.policy_of))
        return made

    return decorate


def flow_policy(canvas: object) -> WorkflowPolicy | None:
    """Return the options of a workflow function's result if it is a flow with options."""
    return getattr(canvas, "policy", None) if isinstance(canvas, Flow) else None


def _summary(function: Callable[..., Any]) -> str:
    paragraph = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    sentence = _SENTENCE.match(paragraph)
    return sentence[1] if sentence else paragraph


class NotifyAll(tuple[Notification, ...]):
    """Notifications for the operations of all workflows; assign it in a module named in WORKFLOWS."""

    __slots__ = ()

    def __new__(cls, *notifications: Notification) -> NotifyAll:
        """Raise StepOptionInvalid if an argument is not a notification."""
        return super().__new__(cls, notifications_of({"notify": notifications}))


class Workflows:
    """Workflows by name, iterated in sorted order; `everywhere` are the notifications of all of them."""

    def __init__(self, workflows: Mapping[str, Workflow], everywhere: Sequence[Notification] = ()) -> None:
        self._by_name = dict(sorted(workflows.items()))
        self.everywhere = tuple(everywhere)

    def get(self, name: str) -> Workflow:
        """Return the workflow of that name.

        Raises:
            WorkflowUnknown: There is none; it suggests similar names.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise WorkflowUnknown(name, get_close_matches(name, self._by_name)) from None

    __getitem__ = get

    @property
    def names(self) -> Collection[str]:
        """Return the sorted names of all workflows."""
        return self._by_name.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Workflow]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)


def load_workflows(modules: Sequence[str] = ()) -> Workflows:
    """Import the shipped modules and these, and return the workflows that they define.

    Raises:
        ModuleUnusable: A module cannot be imported or defines no workflow.
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
    """Yield the notifications for all workflows, each once: a module may import them from another."""
    values = (value for module in modules for value in vars(_imported(module)).values())
    for notifications in {id(value): value for value in values if isinstance(value, NotifyAll)}.values():
        yield from notifications


def _workflows_in(module: str) -> list[Workflow]:
    workflows = [value for value in vars(_imported(module)).values() if isinstance(value, Workflow)]
    if not workflows:
        raise ModuleUnusable(
            module, "it defines no workflow: decorate a function with @workflow, or remove the module from WORKFLOWS"
        )
    return workflows


def _imported(module: str) -> ModuleType:
    try:
        return import_module(module)
    except BaseException as fault:  # a user's module may raise anything while it is imported
        if not is_author_error(fault):
            raise
        raise ModuleUnusable(module, _why_not_imported(module, fault)) from fault


def _why_not_imported(module: str, fault: BaseException) -> str:
    """Return why the import failed and where: a missing module, or the line of the author's code that raised."""
    if isinstance(fault, ModuleNotFoundError) and f"{module}.".startswith(f"{fault.name}."):
        return f"there is no module {fault.name}: correct the name, or put its folder on PYTHONPATH"
    if isinstance(fault, SyntaxError):
        return f"{fault.filename}, line {fault.lineno}: {type(fault).__name__}: {fault.msg}"
    frames = [one for one in extract_tb(fault.__traceback__) if "importlib" not in one.filename]
    theirs = [one for one in frames if not Path(one.filename).is_relative_to(_OURS)] or frames
    return f"{theirs[-1].filename}, line {theirs[-1].lineno}: {type(fault).__name__}: {fault}".rstrip(".")
