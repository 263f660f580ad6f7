"""Signatures of documents: what they hold against, what they let pass, and what they tell of the key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.sealing import Keys
from app.errors import DocumentUntrusted

FIRST, SECOND = "first-" * 8, "second-" * 8
DOCUMENT: dict[str, Any] = {"workflow": "adding", "arguments": {"numbers": [1, 2.5], "name": "北\udce9"}}


def test_what_a_key_has_signed_is_believed_however_it_is_spaced_and_ordered() -> None:
    signed = Keys([FIRST]).signed(DOCUMENT)
    shuffled = dict(reversed(json.loads(json.dumps(signed, indent=3)).items()))

    Keys([FIRST]).demand_signed(shuffled)


@pytest.mark.parametrize(
    "changed",
    [
        {"workflow": "other"},
        {"arguments": {"numbers": [1, 2], "name": "北\udce9"}},
        {"extra": None},
        {"signed": {"key": "", "hmac": ""}},
        {"signed": {"hmac": None}},
        {"signed": "yes"},
        {"signed": None},
    ],
)
def test_what_was_changed_is_not_believed(changed: dict[str, Any]) -> None:
    signed = Keys([FIRST]).signed(DOCUMENT)

    with pytest.raises(DocumentUntrusted):
        Keys([FIRST]).demand_signed(signed | changed)


def test_of_several_keys_the_first_signs_and_each_is_believed() -> None:
    both = Keys([SECOND, FIRST])

    both.demand_signed(Keys([FIRST]).signed(DOCUMENT))
    Keys([SECOND]).demand_signed(both.signed(DOCUMENT))
    with pytest.raises(DocumentUntrusted):
        Keys([FIRST]).demand_signed(both.signed(DOCUMENT))


def test_what_is_signed_again_has_one_signature() -> None:
    once = Keys([FIRST]).signed(DOCUMENT)

    assert Keys([FIRST]).signed(once) == once


def test_nothing_tells_the_key() -> None:
    keys = Keys([FIRST])

    assert FIRST not in f"{keys!r} {keys} {json.dumps(keys.signed(DOCUMENT))}"
