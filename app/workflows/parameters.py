"""The parameters of a workflow: a pydantic model derived from its function's signature, and arguments fitted to it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json

from app.errors import ArgumentsInvalid, WorkflowMalformed
from app.texts import named_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
