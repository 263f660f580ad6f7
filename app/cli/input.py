"""What is given on a command line: arguments of a workflow, and in whose name a command acts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click
from flask import current_app

from pausable import clock
from pausable.db.users import list_users, user_named
from pausable.errors import AdminMissing, MomentMalformed, MomentTooFar, UserUnknown
from pausable.model.times import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pausable.db.users import User
    from pausable.service.operations import Commands

#: Gives a command the argument `operation_id`; keys of both databases end at 2**63 - 1.
operation_argument = click.argument("operation_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
#: Gives a command the argument `user_name`.
user_option = click.option("--user", "user_name", metavar="NAME", help="In whose name; else the oldest admin's.")


def commands() -> Commands:
    """The commands of this application."""
    found: Commands = current_app.extensions["commands"]
    return found


def acting(name: str | None) -> User:
    """The user of that name, by default the oldest admin. Raises UserUnknown, AdminMissing."""
    with commands().engine.database.glance() as tx:
        if name is not None:
            found = user_named(tx, name)
            if found is None:
                raise UserUnknown(name)
            return found
        for user in list_users(tx):
            if user.is_admin:
                return user
    raise AdminMissing


def names() -> dict[int, str]:
    """All users' names by their ids."""
    with commands().engine.database.glance() as tx:
        return {user.id: user.name for user in list_users(tx)}


if TYPE_CHECKING:
    Schema = Mapping[str, Any]

_NOT_JSON: Final = object()
_TYPES: Final = {
    "NoneType": "null",
    "bool": "boolean",
    "int": "integer",
    "str": "string",
    "list": "array",
    "dict": "object",
}


def arguments_of(pairs: Sequence[str], text: str | None, schema: Schema) -> dict[str, Any]:
    """The arguments that `text`, a JSON object, and KEY=VALUE pairs give, each value fitted to the workflow's schema.

    Only how they are written is judged here; what they are, the workflow judges. Raises click.UsageError.
    """
    arguments = {} if text is None else _object(text)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{pair!r} is not written as KEY=VALUE.")
        if name in arguments:
            raise click.UsageError(f"{name!r} is given twice.")
        arguments[name] = fitted(value, schema.get("properties", {}).get(name, {}), schema.get("$defs", {}))
    return arguments


def fitted(text: str, schema: Schema, definitions: Schema) -> Any:
    """The value that a text stands for where the schema asks for one.

    It is read as JSON where that gives a type the schema takes; else it is parted at its commas for a list, or is
    the text itself.
    """
    leaves = list(_leaves(schema, definitions))
    value = _read(text)
    if value is not _NOT_JSON and any(_takes(leaf, value) for leaf in leaves):
        return value
    if any(_takes(leaf, text) for leaf in leaves):
        return text
    if lists := [leaf for leaf in leaves if _takes(leaf, [])]:
        parts = text.split(",") if text else []
        return [fitted(part.strip(), _item(lists[0], place), definitions) for place, part in enumerate(parts)]
    return text if value is _NOT_JSON else value


def _object(text: str) -> dict[str, Any]:
    value = _read(text)
    if not isinstance(value, dict):
        raise click.UsageError(f'--arguments is not a JSON object, such as {{"start": 1}}: {text:.80}')
    return value


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse(word: str) -> None:
    """NaN and the infinities are words of Python's own that JSON does not know."""
    raise ValueError(word)


def _leaves(schema: Schema, definitions: Schema) -> Iterator[Schema]:
    """The schemas that a schema is a choice of, references followed."""
    if reference := schema.get("$ref"):
        yield from _leaves(definitions.get(str(reference).rpartition("/")[2], {}), definitions)
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        for choice in choices:
            yield from _leaves(choice, definitions)
    else:
        yield schema


def _takes(leaf: Schema, value: object) -> bool:
    """Whether values of this one's type are taken; a schema that names no type takes any."""
    if "type" not in leaf:
        values = leaf.get("enum", [leaf["const"]] if "const" in leaf else [value])
        return value in values
    types = [leaf["type"]] if isinstance(leaf["type"], str) else leaf["type"]
    given = _TYPES.get(type(value).__name__, "number")
    return given in types or (given == "integer" and "number" in types)


def _item(leaf: Schema, place: int) -> Schema:
    """The schema of a list's item."""
    first: Sequence[Schema] = leaf.get("prefixItems", ())
    item: Schema = first[place] if place < len(first) else leaf.get("items", {})
    return item


class Moment(click.ParamType[float]):
    """A date and time of ISO 8601; without an offset from UTC it is this machine's."""

    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The moment in seconds since the epoch; anything else, or one too far ahead, is a misuse."""
        try:
            return moment_of(value, clock.now(), is_local=True)
        except (MomentMalformed, MomentTooFar) as why:
            return self.fail(f"{value!r} cannot be used: {why}.", param, ctx)
