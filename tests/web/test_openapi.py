"""The OpenAPI document is valid and whole, and the page that shows it needs nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from app.web.openapi import STATIC
from tests.web.calling import Caller, json_of, validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

OF_OPENAPI = json.loads((Path(__file__).parent / "schemas" / "openapi-3.1.json").read_text())
VENDOR = STATIC / "vendor"
MANIFEST: dict[str, dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text())


@pytest.fixture
def document(stranger: Caller) -> Any:
    return json_of(stranger.get("/openapi.json"))


def parts(value: Any, key: str) -> Iterator[Any]:
    """All that stands under this key, at any depth."""
    if isinstance(value, dict):
        yield from ([value[key]] if key in value else [])
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part, key)


def test_the_document_is_one_of_openapi_3_1(document: Any) -> None:
    Draft202012Validator(OF_OPENAPI).validate(document)

    assert document["openapi"] == "3.1.0"


def test_the_schemas_in_it_are_schemas(document: Any) -> None:
    for schema in [*document["components"]["schemas"].values(), *parts(document["paths"], "schema")]:
        Draft202012Validator.check_schema(schema)


def test_all_that_it_refers_to_is_in_it(document: Any) -> None:
    referred = {reference for reference in parts(document, "$ref") if isinstance(reference, str)}

    assert referred <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_every_route_of_the_api_is_in_it(app: Flask, document: Any) -> None:
    api = [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith(("pages.", "console."))]
    routes = {(rule.rule, method) for rule in api for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}

    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert {(re.sub(r"<(?:id:)?(\w+)>", r"{\1}", rule), method) for rule, method in routes} == described


def test_every_route_has_a_name_of_its_own_and_a_sentence(document: Any) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"].endswith(".") for operation in operations)


def test_every_place_in_a_path_is_described(document: Any) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            described = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert described == {*re.findall(r"{(\w+)}", path)}


def test_all_but_health_asks_for_a_token(document: Any) -> None:
    free = {path for path, item in document["paths"].items() for one in item.values() if not one.get("security")}

    assert free == {"/healthz", "/readyz"}
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_what_is_said_of_requests_is_what_is_asked_of_them(bob: Caller, document: Any) -> None:
    asked = {"$ref": "#/components/schemas/StartRequest"}

    assert validator(document, asked).is_valid({"workflow": "three", "arguments": {}})
    assert not validator(document, asked).is_valid({"workflow": 7})
    assert bob.post("/operations", {"workflow": 7}) == 422


def test_the_page_asks_for_nothing_from_elsewhere(stranger: Caller) -> None:
    page = stranger.get("/docs")

    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert page.mimetype == "text/html"
    assert len(wanted) >= 4
    assert [stranger.get(f"/{address}").status_code for address in wanted] == [200] * len(wanted)


def test_the_page_runs_no_script_that_stands_in_it(stranger: Caller) -> None:
    page = stranger.get("/docs")

    assert re.findall(r"<script(?! src=)|<style|\son\w+=|\sstyle=", page.text) == []
    assert "img-src 'self' data:" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", MANIFEST)
def test_what_others_made_is_as_they_made_it(name: str) -> None:
    made = MANIFEST[name]

    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (VENDOR / name).iterdir()}
    assert found == made["files"]
    assert made["licence_file"] in found
    assert name.endswith(f"-{made['version']}")


def test_nothing_is_vendored_that_the_manifest_does_not_name() -> None:
    assert {path.name for path in VENDOR.iterdir()} == {*MANIFEST, "manifest.json"}
