"""Whatever comes in wrong gets its problem, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.calling import Caller, everything, problem, slug

if TYPE_CHECKING:
    from pausable.db.database import Database

JSON = {"Content-Type": "application/json"}
START = "POST /operations"


@dataclass
class Bad:
    """A request with something wrong in it, the status and the kind of the problem, and the fields it names."""

    what: str
    request: str
    status: int
    slug: str
    fields: list[str] = field(default_factory=list)
    body: Any = None
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))

    def send(self, caller: Caller) -> Any:
        method, address = self.request.split(" ", 1)
        if self.body is not None:
            return caller.ask(method, address, json=self.body, headers=self.headers)
        return caller.ask(method, address, data=self.data, headers=self.headers)


def body(what: str, *fields: str, slug: str = "request-invalid", request: str = START, **given: Any) -> Bad:
    """A body that is JSON, but not what is asked for."""
    return Bad(what, request, 422, slug, list(fields), given)


def malformed(what: str, data: bytes, request: str = START) -> Bad:
    """A body that is not JSON."""
    return Bad(what, request, 400, "body-malformed", data=data)


def query(what: str, request: str, *fields: str) -> Bad:
    """Parameters that cannot be used."""
    return Bad(what, request, 422, "request-invalid", list(fields))


def unknown(request: str, slug: str = "address-unknown") -> Bad:
    """An address where there is nothing."""
    return Bad(f"unknown: {request}", request, 404, slug)


def arguments(what: str, *fields: str, workflow: str = "count-by", **given: Any) -> Bad:
    """Arguments that do not fit."""
    return body(what, *fields, slug="arguments-invalid", workflow=workflow, arguments=given)


BAD = [
    malformed("an empty body", b""),
    malformed("half a body", b'{"workflow":'),
    malformed("two values", b"{}{}"),
    malformed("not UTF-8", b'{"workflow":"\xff"}'),
    malformed("UTF-16", '{"workflow":"three"}'.encode("utf-16")),
    malformed("half a character", b'{"workflow":"\\ud800"}'),
    malformed("not a number", b'{"workflow":"three","arguments":{"value":NaN}}'),
    malformed("a number too large", b'{"workflow":"three","arguments":{"value":1e999}}'),
    malformed("a number too long", b'{"workflow":"three","arguments":{"value":' + b"9" * 5000 + b"}}"),
    malformed("nested deep", b'{"workflow":"three","arguments":{"value":' + b"[" * 100_000),
    malformed("nested deep and whole", b"[" * 10_000 + b"]" * 10_000),
    malformed("a malformed body of a pause", b"{", "POST /operations/1/pause"),
    Bad("another media type", START, 415, "media-type-unsupported", data=b"{}", headers={"Content-Type": "text/plain"}),
    Bad("no media type", START, 415, "media-type-unsupported", data=b"{}", headers={}),
    Bad("a form", START, 415, "media-type-unsupported", data=b"a=1", headers={"Content-Type": "multipart/form-data"}),
    Bad("a huge body", START, 413, "body-too-large", data=b" " * (1024 * 1024 + 1)),
    Bad("a huge body of a pause", "POST /operations/1/pause", 413, "body-too-large", data=b" " * (1024 * 1024 + 1)),
    Bad("a list", START, 422, "request-invalid", [""], body=[]),
    Bad("a word", START, 422, "request-invalid", [""], body="three"),
    Bad("null", START, 422, "request-invalid", [""], data=b"null"),
    body("nothing in it", "workflow"),
    body("a wrong type", "workflow", workflow=7),
    body("arguments that are a list", "arguments", workflow="three", arguments=[]),
    body("unknown fields", "start_at", "now", workflow="three", now=True, start_at="tomorrow"),
    body("an unknown field of a pause", "soon", request="POST /operations/1/pause", soon=True),
    body("a reason that is a number", "reason", request="POST /operations/1/pause", reason=1),
    body("a reason with a NUL", "reason", request="POST /operations/1/pause", reason="a\0b"),
    body("a reason without end", "reason", request="POST /operations/1/cancel", reason="x" * 1001),
    body("a retry for a reason without end", "reason", request="POST /operations/1/retry", reason="x" * 1001),
    body("a resume for a reason without end", "reason", request="POST /operations/1/resume", reason="x" * 1001),
    body("a resume with a time", "resume_at", request="POST /operations/1/resume", resume_at="2030-01-31T08:00:00Z"),
    body("a workflow without steps", slug="canvas-refused", workflow="without-steps"),
    body("a workflow that raises", slug="canvas-refused", workflow="raises", arguments={"path": "x"}),
    Bad("an unknown workflow", START, 404, "workflow-unknown", body={"workflow": "thre"}),
    arguments("no arguments", "arguments.path", "arguments.by"),
    arguments("a word for a number", "arguments.chunks", path="a.csv", by=["b"], chunks="7"),
    arguments("a number out of bounds", "arguments.chunks", path="a.csv", by=["b"], chunks=0),
    arguments("an unknown argument", "arguments.nope", path="a.csv", by=["b"], nope=1),
    arguments("a wrong part of an argument", "arguments.by.1", path="a.csv", by=["b", 7]),
    arguments("a file outside", "arguments.path", path="../a.csv", by=["b"]),
    arguments("an id of one's own", "arguments.operation_id", workflow="add-numbers", operation_id=7),
    Bad("a key without end", START, 422, "request-invalid", ["Idempotency-Key"], {"workflow": "three"},
        headers={"Idempotency-Key": "k" * 256}),
    Bad("a key in Greek", START, 422, "request-invalid", ["Idempotency-Key"], {"workflow": "three"},
        headers={"Idempotency-Key": "κλειδί".encode().decode("latin-1")}),
    query("an unknown completion", "GET /operations?completion=DONE&completion=PAUSED", "completion.0"),
    query("a limit of none", "GET /operations?limit=0", "limit"),
    query("a limit without end", "GET /operations?limit=1001", "limit"),
    query("two limits", "GET /operations?limit=1&limit=2", "limit"),
    query("a limit in words", "GET /operations?limit=ten", "limit"),
    query("a place too large", "GET /operations?after=9223372036854775808", "after"),
    query("a name that no database keeps", "GET /operations?workflow=a%00b", "workflow"),
    query("an unknown parameter", "GET /operations?page=2", "page"),
    query("an unknown parameter of steps", "GET /operations/1/steps?page=2", "page"),
    query("a place below none", "GET /operations/1/events?after=-1", "after"),
    query("a wait without end", "POST /operations/1/pause?wait=61", "wait"),
    query("a wait into the past", "POST /operations/1/pause?wait=-1", "wait"),
    query("a wait that is no number", "POST /operations/1/pause?wait=nan", "wait"),
    unknown("GET /nowhere"),
    unknown("GET /operations/"),
    unknown("GET /operations/one"),
    unknown("GET /operations/0"),
    unknown("GET /operations/-1"),
    unknown("GET /operations/1.0"),
    unknown("GET /operations/01"),
    unknown("GET /operations/٣"),
    unknown("GET /operations/9223372036854775808"),
    unknown("POST /operations/one/pause"),
    unknown("POST /operations/1/explode"),
    *(
        unknown(request, "operation-not-found")
        for request in (
            "GET /operations/999999999999999999",
            "GET /operations/2/status",
            "GET /operations/2/steps",
            "GET /operations/2/events",
            "GET /operations/2/workflow.json",
            "POST /operations/2/pause",
            "POST /operations/2/resume",
            "POST /operations/2/cancel",
        )
    ),
    Bad("DELETE", "DELETE /operations/1", 405, "method-not-allowed"),
    Bad("PUT", "PUT /operations", 405, "method-not-allowed"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
def test_bad_input_gets_its_problem_and_changes_nothing(bob: Caller, database: Database, bad: Bad) -> None:
    bob.start("three")
    before = everything(database)

    answer = bad.send(bob)

    assert (answer.status_code, slug(answer)) == (bad.status, bad.slug)
    assert [error["field"] for error in problem(answer).get("errors", [])] == bad.fields
    assert everything(database) == before


def test_an_unknown_workflow_is_answered_with_the_names_that_look_like_it(bob: Caller) -> None:
    assert problem(bob.post("/operations", {"workflow": "thre"}))["near"] == ["three"]


@pytest.mark.parametrize(
    "sent",
    [
        {"workflow": "three", "arguments": {f"no-{number}": 1 for number in range(20_000)}},
        {"workflow": "three", "arguments": {"x" * 500_000: 1}},
        {"workflow": "three"} | {f"no-{number}": 1 for number in range(20_000)},
        {"workflow": "three", "x" * 500_000: 1},
    ],
    ids=["many arguments", "a long argument", "many fields", "a long field"],
)
def test_an_answer_names_a_few_of_the_faults_that_a_body_has_and_none_at_length(
    bob: Caller, sent: dict[str, Any]
) -> None:
    answer = bob.post("/operations", sent)

    assert answer.status_code == 422
    assert len(answer.data) < 32 * 1024
    told = problem(answer)["errors"]
    assert len(told) == 1 or told[-1]["message"] == f"{20_000 - 50:,} more faults are not listed"


def test_a_method_that_is_not_allowed_is_answered_with_those_that_are(bob: Caller) -> None:
    refused = bob.ask("PATCH", "/operations/1")

    assert {*refused.headers["Allow"].split(", ")} == {"GET", "HEAD", "OPTIONS"}


def test_a_body_as_large_as_it_may_be_is_read(bob: Caller) -> None:
    padding = 1024 * 1024 - len(b'{"workflow":"three"}')

    assert bob.ask("POST", "/operations", data=b'{"workflow":"three"}' + b" " * padding, headers=JSON) == 202


def test_a_huge_body_in_chunks_is_refused_too(bob: Caller, database: Database) -> None:
    before = everything(database)

    refused = bob.ask(
        "POST",
        "/operations",
        data=b'{"workflow":"three"}' + b" " * 1024 * 1024,
        headers=JSON,
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )

    assert (refused.status_code, slug(refused)) == (413, "body-too-large")
    assert everything(database) == before


def test_arguments_may_be_nested_as_deep_as_the_body_may(bob: Caller) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]

    assert bob.post("/operations", {"workflow": "three", "arguments": {"value": deep}}) == 202
