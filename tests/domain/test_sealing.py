"""Signatures of documents: what they hold against, what they let pass, and what they tell of the key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pausable.documents.model import encode
from pausable.documents.signing import Keys
from pausable.errors import DocumentUntrusted

FIRST, SECOND = "first-" * 8, "second-" * 8
DOCUMENT: dict[str, Any] = {"workflow": "adding", "arguments": {"numbers": [1, 2.5], "name": "北\udce9"}}


def signed(*keys: str) -> dict[str, Any]:
    return json.loads(Keys(keys).sealed(DOCUMENT))  # type: ignore[no-any-return]


def test_what_a_key_has_signed_is_believed_however_it_is_spaced() -> None:
    content = Keys([FIRST]).sealed(DOCUMENT)
    spaced = json.dumps(json.loads(content), indent=3).encode()

    assert Keys([FIRST]).has_sealed(content)
    assert not Keys([FIRST]).has_sealed(spaced)
    Keys([FIRST]).demand_signed(json.loads(spaced))


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
    altered = signed(FIRST) | changed

    assert not Keys([FIRST]).has_sealed(encode(altered))
    with pytest.raises(DocumentUntrusted):
        Keys([FIRST]).demand_signed(altered)


def test_of_several_keys_the_first_signs_and_each_is_believed() -> None:
    both = Keys([SECOND, FIRST])

    assert both.has_sealed(Keys([FIRST]).sealed(DOCUMENT))
    both.demand_signed(signed(FIRST))
    Keys([SECOND]).demand_signed(signed(SECOND, FIRST))
    assert not Keys([FIRST]).has_sealed(both.sealed(DOCUMENT))
    with pytest.raises(DocumentUntrusted):
        Keys([FIRST]).demand_signed(signed(SECOND, FIRST))


def test_what_is_signed_again_has_one_signature() -> None:
    once = signed(FIRST)

    assert json.loads(Keys([FIRST]).sealed(once)) == once


def test_bytes_of_any_kind_are_no_signed_document() -> None:
    content = Keys([FIRST]).sealed(DOCUMENT)

    for other in (b"", b"}", content[:-1], content + b" ", content[-103:], content.replace(b"adding", b"adden.")):
        assert not Keys([FIRST]).has_sealed(other)
    assert not Keys().has_sealed(content)


def test_nothing_tells_the_key() -> None:
    keys = Keys([FIRST])

    assert FIRST not in f"{keys!r} {keys} {keys.sealed(DOCUMENT)!r}"
