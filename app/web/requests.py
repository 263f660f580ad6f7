"""Parse requests: path, query, headers and body become the models that a view function declares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Annotated, Any, Final, TypeVar, get_type_hints

from flask import Response, abort, request
from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema
from pydantic_core import from_json

from pausable import clock
from pausable.errors import BodyMalformed, MomentMalformed, RequestInvalid
from pausable.model.times import moment_of
from pausable.texts import named_faults


def _moment(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise MomentMalformed
    return moment_of(value, clock.now())


Moment = Annotated[
    float | None,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
]


View = TypeVar("View", bound=Callable[..., Response])

#: Maximum bytes of a body.
LARGEST_BODY: Final = 1024 * 1024

_JSON: Final = "application/json"
_finite: Final = json.JSONEncoder(allow_nan=False, check_circular=False)


def reads_request(view: View) -> View:
    """Pass the models that a view function declares: `path`, `query`, `header` and `body`."""
    hints = get_type_hints(view)
    readers = {name: make(hints[name]) for name, make in _READERS.items() if name in hints}

    @wraps(view)
    def read(**path: Any) -> Response:
        return view(**{name: reader(path) for name, reader in readers.items()})

    # With this mark, flask-openapi documents the models and does not parse the request.
    read.__delay_validate_request__ = True  # type: ignore[attr-defined]
    return read  # type: ignore[return-value]


Reader = Callable[[Mapping[str, Any]], BaseModel]


def _path_reader(model: type[BaseModel]) -> Reader:
    return lambda path: _fitted(model, "path", path)


def _query_reader(model: type[BaseModel]) -> Reader:
    properties = model.model_json_schema()["properties"]
    repeatable = {name for name, schema in properties.items() if schema.get("type") == "array"}

    def read(_path: Mapping[str, Any]) -> BaseModel:
        given = {name: values if name in repeatable else _one(values) for name, values in request.args.lists()}
        return _fitted(model, "query", given)

    return read


def _one(values: list[str]) -> str | list[str]:
    """Return the value of a parameter; a list, which no model accepts, if it is given repeatedly."""
    return values[0] if len(values) == 1 else values


def _header_reader(model: type[BaseModel]) -> Reader:
    names = [str(field.alias) for field in model.model_fields.values()]

    def read(_path: Mapping[str, Any]) -> BaseModel:
        given = {name: request.headers.get(name) for name in names}
        return _fitted(model, "header", {name: value for name, value in given.items() if value is not None})

    return read


def _body_reader(model: type[BaseModel]) -> Reader:
    is_needed = any(field.is_required() for field in model.model_fields.values())

    def read(_path: Mapping[str, Any]) -> BaseModel:
        body = _body()
        return _fitted(model, "body", _parsed(body), strict=True) if body or is_needed else model()

    return read


_READERS: Final[Mapping[str, Callable[[type[BaseModel]], Reader]]] = {
    "path": _path_reader,
    "header": _header_reader,
    "query": _query_reader,
    "body": _body_reader,
}


def content_of(largest: int) -> bytes:
    """Return the bytes of a body of at most so many bytes."""
    request.max_content_length = largest
    body = _body(largest)
    _demand_json(body)
    return body


def _body(largest: int = LARGEST_BODY) -> bytes:
    body = request.get_data(cache=False)
    # Werkzeug truncates chunked bodies at the limit without an error.
    if request.content_length is None and len(body) >= largest:
        abort(413)
    return body


def body_of(media_type: str) -> Any:
    """Return the JSON of a body of another media type. Raise BodyMalformed, or abort with the HTTP error."""
    return _parsed(_body(), media_type)


def _demand_json(body: bytes, media_type: str = _JSON) -> None:
    if not body:
        raise BodyMalformed("it is empty")
    if request.mimetype != media_type:
        abort(415, f"The body is {request.mimetype or 'of no media type'}: send `Content-Type: {media_type}`.")


def _parsed(body: bytes, media_type: str = _JSON) -> Any:
    _demand_json(body, media_type)
    try:
        value = from_json(body, allow_inf_nan=False)  # refuses nesting deeper than 200 levels
        _finite.encode(value)  # 1e999 is JSON, but not a finite float
    except ValueError as why:
        raise BodyMalformed(str(why)) from None
    return value


def _fitted(model: type[BaseModel], place: str, given: Any, *, strict: bool | None = None) -> BaseModel:
    try:
        return model.model_validate(given, strict=strict)
    except ValidationError as invalid:
        raise RequestInvalid(named_faults(_faults(place, invalid))) from None


def _faults(place: str, invalid: ValidationError) -> Iterator[dict[str, str]]:
    for error in invalid.errors(include_url=False, include_input=False, include_context=False):
        message = _PLAINER.get(error["type"], error["msg"])
        yield {"in": place, "field": ".".join(map(str, error["loc"])), "message": message}


_PLAINER: Final = {
    "extra_forbidden": "There is no such field",
    "model_type": "A JSON object is expected",
    "missing": "This field is needed",
}
