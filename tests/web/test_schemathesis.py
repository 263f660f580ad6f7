"""Requests made of the OpenAPI document, right and wrong ones, are answered as it says: every check of Schemathesis."""

from __future__ import annotations

import random
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.config import SchemathesisConfig

from pausable import clock
from pausable.db.workers import register_worker
from pausable.processes import this_process
from tests.amounts import usually
from tests.execution.pausing import in_database
from tests.web.serving import serving, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase

SEED = random.SystemRandom().getrandbits(32)
BOB = {"Authorization": f"Bearer {token_of('bob')}"}
#: Examples of each kind for each call of the API.
EXAMPLES = usually(5, long=25)
#: Each request gets Bob's token, so a token that is lacking or wrong is no fault of what was generated.
CONFIG: dict[str, Any] = {"generation": {"with-security-parameters": False}}


@pytest.fixture
def described(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Any]:
    """The document of an installation in which Bob has some operations; the checks send many tokens that fail."""
    given: dict[str, Any] = {"slice_steps": 1, "failed_tokens_per_minute": 1_000_000}
    with serving(tmp_path, in_database(broker_url, 14), database_url=new_database(tmp_path), **given) as served:
        with served.commands.engine.database.write() as tx:  # one that is seen for as long as this takes
            register_worker(tx, this_process(), clock.now() + 3600)
        client = served.app.test_client()
        for workflow in ("three", "three", "fails"):
            assert client.post("/operations", json={"workflow": workflow}, headers=BOB).status_code == 202
        client.post("/operations/1/pause", headers=BOB)
        config = SchemathesisConfig.from_dict(CONFIG)
        yield schemathesis.openapi.from_wsgi("/openapi.json", served.app, config=config)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=str)
def test_every_request_is_answered_as_the_document_says(described: Any, mode: schemathesis.GenerationMode) -> None:
    print(f"seed {SEED}")  # noqa: T201
    limits = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    judged = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if mode.is_negative and not takes_anything(operation):
            continue

        @seed(SEED)
        @limits
        @given(operation.as_strategy(generation_mode=mode))
        def answered(case: schemathesis.Case[Any]) -> None:
            say_what_the_document_cannot(case)
            if mode.is_positive and case.headers:  # an ETag that was never given is refused with 412, as it should be
                case.headers.pop("If-Match", None)
            case.call_and_validate(headers=BOB)

        answered()
        judged += 1
    assert judged > 5


def say_what_the_document_cannot(case: schemathesis.Case[Any]) -> None:
    """A moment lies ten years ahead at the most; a bulk names the operations that it means; a key is used once."""
    is_bulk = case.path in ("/operations/pause", "/operations/resume", "/operations/cancel")
    if is_bulk and isinstance(case.query, dict):
        case.query.setdefault("workflow", "three")
    if case.headers and re.fullmatch("[ -~]{1,255}", str(case.headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = uuid4().hex
    for name in ("start_at", "resume_at"):
        if isinstance(case.body, dict) and _is_moment(case.body.get(name)):
            case.body[name] = "2027-01-31T20:00:00Z"


def _is_moment(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def takes_anything(operation: Any) -> bool:
    """Whether anything can be wrong with a request."""
    return bool([*operation.iter_parameters()] or operation.body)
