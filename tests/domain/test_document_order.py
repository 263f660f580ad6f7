"""A workflow.json whose steps could not be laid into the table, or never be started, is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from pausable.documents.model import encode
from tests.domain.test_document_check import believed, deep, refused, whole, with_


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (with_("steps", 1, "upstream", value=["add-1", "add-1"]), "lets 'add-2' wait for a step twice"),
        (
            with_("steps", 0, "signature", "options", value={"countdown": "soon"}),
            "calls 'add-1' with the option countdown, which is",
        ),
        (
            with_("steps", 0, "signature", "options", value={"countdown": "inf"}),
            "calls 'add-1' with the option countdown, which is",
        ),
        (
            with_("steps", 0, "signature", "options", value={"eta": 5}),
            "calls 'add-1' with the option eta, which is '5': give a datetime",
        ),
        (
            with_("steps", 0, "signature", "options", value={"queue": 7}),
            "calls 'add-1' with the option queue, which is '7'",
        ),
        (with_("outcome", value=deep(400)), "is nested more than 300 deep at outcome"),
    ],
)
def test_what_could_not_be_laid_is_refused(document: dict[str, Any], why: str) -> None:
    assert refused(document).startswith(why)


def test_a_pause_point_that_names_no_clause_calls_nothing_else() -> None:
    document = whole()
    document["steps"][2]["point"]["clause"] = {"task": "operations.pause_or_continue"}

    believed(encode(document))


def test_a_step_stands_behind_those_that_it_waits_for() -> None:
    document = whole()
    document["steps"][1:] = reversed(document["steps"][1:])
    document["chain"] = [step["signature"] for step in document["steps"][1:]]

    assert refused(document) == "has 'add-3' before a step that it waits for"
