"""Calling the API as somebody, each answer held against the OpenAPI document; and all that the database holds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from sqlalchemy import select

from pausable.db.tables import metadata

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from flask_openapi.openapi import OpenAPI
    from werkzeug.test import TestResponse

    from pausable.db.database import Database

if TYPE_CHECKING:

    class Answer(TestResponse):
        """What pytest-flask makes of a response: it equals its status."""

        def __eq__(self, other: object) -> bool: ...


@dataclass
class Caller:
    """Somebody with a token, or without one."""

    client: FlaskClient
    token: str | None

    def get(self, address: str, **headers: str) -> Answer:
        return self.ask("GET", address, headers=headers)

    def post(self, address: str, body: Any = None, **headers: str) -> Answer:
        """Send a body, where there is one, as JSON; `If_Match="…"` sends that header."""
        return self.ask("POST", address, headers=headers, **({} if body is None else {"json": body}))

    def ask(self, method: str, address: str, *, headers: dict[str, str] | None = None, **given: Any) -> Answer:
        said = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        opened = self.client.open(address, method=method, headers={**authorization, **said}, buffered=True, **given)
        answer = cast("Answer", opened)
        check(cast("OpenAPI", self.client.application).api_doc, method, answer)
        return answer

    def start(self, workflow: str, **arguments: Any) -> str:
        """Start an operation; the answer is its address."""
        started = self.post("/operations", {"workflow": workflow, "arguments": arguments})
        assert started.status_code == 202, started.text
        return started.headers["Location"]

    def completion(self, address: str) -> str:
        return str(json_of(self.get(f"{address}/status"))["completion"])


def json_of(answer: Answer) -> Any:
    assert answer.is_json, answer.text
    return json.loads(answer.data)


def check(document: dict[str, Any], method: str, answer: Answer) -> None:
    """That a route of the document answers with a status that it names, in the shape that it names for it."""
    described = _described(document, method, answer.request.path)
    if described is None or method in ("HEAD", "OPTIONS"):
        return
    of_status = described["responses"].get(str(answer.status_code))
    assert of_status, f"{method} {answer.request.path} says nothing of {answer.status_code}: {answer.text}"
    content = of_status.get("content", {})
    if content:
        assert answer.mimetype in content
        said = json_of(answer) if answer.is_json else answer.text
        validator(document, content[answer.mimetype]["schema"]).validate(said)


def _described(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, item in document["paths"].items():
        if re.fullmatch(re.sub(r"{\w+_id}", "[1-9][0-9]*", template).replace("{slug}", "[^/]+"), path):
            described: dict[str, Any] | None = item.get(method.lower())
            return described
    return None


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Of a schema that refers to the document's components."""
    here = Resource.from_contents(document, default_specification=DRAFT202012)
    pointing = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    return Draft202012Validator(pointing, registry=Registry().with_resource("urn:document", here))


def problem(answer: Answer) -> dict[str, Any]:
    """What a problem says; its status is the answer's."""
    assert answer.mimetype == "application/problem+json", answer.text
    said: dict[str, Any] = json.loads(answer.data)
    assert {"type", "title", "status", "detail"} <= said.keys()
    assert said["status"] == answer.status_code
    return said


def slug(answer: Answer) -> str:
    """The end of a problem's type."""
    return str(problem(answer)["type"]).rpartition(":")[2]


def everything(database: Database) -> dict[str, list[Any]]:
    """The rows of every table but `tallies`, which a timer writes."""
    tables = {name: table for name, table in metadata.tables.items() if name != "tallies"}
    with database.read() as tx:
        return {name: [tuple(row) for row in tx.execute(select(table))] for name, table in tables.items()}
