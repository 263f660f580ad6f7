"""The relay: a message runs one slice, and however often it comes, the slice is recorded once and handed on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

import pytest

from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import DocumentMalformed, DocumentUntrusted
from tests.serverless.conftest import document_of

if TYPE_CHECKING:
    from tests.serverless.conftest import Slices


def test_a_message_runs_one_slice_and_the_rest_is_published(slices: Slices) -> None:
    after = slices.run(slices.by_hand("marked-chain", ledger=slices.ledger))

    assert slices.marks() == ["step-1"]
    (message,) = slices.publisher.messages
    assert document_of(message)["slice"] == 1
    assert after is not None
    assert message.id == f"{after['origin']['installation']}-{after['operation_id']}-1"
    slices.keys.demand_signed(document_of(message))


def test_messages_lead_on_until_nothing_is_pending(slices: Slices) -> None:
    after = slices.run(slices.by_hand("marked-flow", ledger=slices.ledger))
    for number in range(4):
        after = slices.run(slices.publisher.messages[number].content)

    assert after is not None
    assert (after["completion"], after["result"]) == ("COMPLETED", 6)
    assert slices.marks() == ["first", "beside-0", "beside-1", "beside-2"]
    assert len(slices.publisher.messages) == 4


@pytest.mark.parametrize("seed", range(5))
def test_messages_that_come_twice_and_in_any_order_run_each_step_once(slices: Slices, seed: int) -> None:
    rng = Random(seed)
    under_way = [slices.by_hand("marked-flow", ledger=slices.ledger)] * 2
    ended = []
    while under_way:
        before = len(slices.publisher.messages)
        after = slices.run(under_way.pop(rng.randrange(len(under_way))))
        ended += [after] if after and after["completion"] == "COMPLETED" else []
        for message in slices.publisher.messages[before:]:
            under_way += [message.content] * 2

    assert sorted(slices.marks()) == ["beside-0", "beside-1", "beside-2", "first"]
    assert [one["result"] for one in ended] == [6], f"seed {seed}"
    assert len({message.id for message in slices.publisher.messages}) == len(slices.publisher.messages) == 4


def test_two_that_run_a_slice_at_once_hand_on_what_one_of_them_kept(slices: Slices) -> None:
    content = slices.by_hand("marked-chain", ledger=slices.ledger)

    with ThreadPoolExecutor(4) as people:
        after = list(people.map(lambda _: slices.run(content), range(4)))

    assert sum(one is not None for one in after) == 1
    assert len({message.content for message in slices.publisher.messages}) == 1


def test_a_slice_that_was_run_and_not_published_is_published_when_its_message_comes_again(slices: Slices) -> None:
    content = slices.by_hand("marked-chain", ledger=slices.ledger)
    slices.publisher.is_down = True
    with pytest.raises(OSError, match="nobody takes it"):
        slices.run(content)
    slices.publisher.is_down = False

    assert slices.run(content) is None

    assert slices.marks() == ["step-1"]
    assert len(slices.publisher.messages) == 1


def test_an_older_slice_that_is_replayed_runs_nothing(slices: Slices) -> None:
    slices.run(slices.by_hand("marked-chain", ledger=slices.ledger))
    older = slices.publisher.messages[0].content
    slices.run(older)
    slices.run(slices.publisher.messages[1].content)

    assert slices.run(older) is None

    assert slices.marks() == ["step-1", "step-2", "step-3"]
    assert len(slices.publisher.messages) == 3


def test_a_document_too_large_for_a_message_is_left_in_the_store(
    slices: Slices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices.publisher, "largest", 2000)
    slices.run(slices.by_hand("long-text", length=5000))
    (message,) = slices.publisher.messages
    assert list(json.loads(message.content)) == ["kept"]
    assert len(message.content) < 200

    after = slices.run(message.content, Budget())

    assert after is not None
    assert after["result"] == 5000


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret", ".operations/7/a.json", 7, ".operations/slices/../a"])
def test_a_message_that_points_elsewhere_is_refused(slices: Slices, place: object) -> None:
    with pytest.raises(DocumentMalformed, match="refers to a place outside"):
        slices.run(json.dumps({"kept": place}, separators=(",", ":")).encode())


def test_a_message_that_no_key_has_signed_runs_nothing(slices: Slices) -> None:
    content = Keys(["another-key-of-thirty-two-characters-or-more"]).sealed(
        {"workflow": "marked-chain", "arguments": {"ledger": slices.ledger}, "steps": []}
    )

    with pytest.raises(DocumentUntrusted):
        slices.run(content)

    assert slices.marks() == []
    assert slices.publisher.messages == []
    assert slices.run(content, trust=True) is not None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 99}', b'{"kept":'])
def test_a_message_that_holds_no_document_is_refused(slices: Slices, content: bytes) -> None:
    slices.keys = Keys()

    with pytest.raises(DocumentMalformed):
        slices.run(content)


def test_a_hand_made_document_that_is_written_in_another_way_is_the_same(slices: Slices) -> None:
    slices.run(content := slices.by_hand("marked-chain", ledger=slices.ledger))

    assert slices.run(json.dumps(json.loads(content), indent=1).encode()) is None

    assert slices.marks() == ["step-1"]


def test_the_same_text_under_two_ids_is_two_operations(slices: Slices) -> None:
    document = json.loads(slices.by_hand("marked-chain", ledger=slices.ledger))

    for name in ("monday", "tuesday", "tuesday"):
        slices.run(slices.keys.sealed(document | {"id": name}))

    assert slices.marks() == ["step-1", "step-1"]
    operations = {document_of(message)["operation_id"] for message in slices.publisher.messages}
    assert len(operations) == 2


def test_operations_that_no_id_tells_apart_have_numbers_of_their_own(slices: Slices) -> None:
    for length in (5, 6):
        slices.run(slices.by_hand("long-text", length=length))

    assert len({document_of(message)["operation_id"] for message in slices.publisher.messages}) == 2


@pytest.mark.parametrize("name", [5, None, "", "x" * 201])
def test_an_id_that_is_no_short_text_is_refused(slices: Slices, name: object) -> None:
    document = json.loads(slices.by_hand("marked-chain", ledger=slices.ledger))

    with pytest.raises(DocumentMalformed, match="malformed at id"):
        slices.run(slices.keys.sealed(document | {"id": name}))


@pytest.mark.parametrize("origin", [None, 5, {}, {"installation": "../../elsewhere", "operation_id": 1}])
def test_where_a_hand_made_document_says_that_it_comes_from_names_nothing(slices: Slices, origin: object) -> None:
    document = json.loads(slices.by_hand("marked-chain", ledger=slices.ledger))

    slices.run(slices.keys.sealed(document | {"origin": origin, "slice": 7}))

    assert [document_of(message)["slice"] for message in slices.publisher.messages] == [1]


def test_a_message_that_is_nested_too_deep_to_tell_where_its_document_lies_is_refused(slices: Slices) -> None:
    with pytest.raises(DocumentMalformed, match="truncated or no JSON"):
        slices.run(b'{"kept":' + b"[" * 100_000)


def test_what_a_pause_point_has_paused_waits_to_be_resumed(slices: Slices) -> None:
    slices.run(slices.by_hand("gated", ledger=slices.ledger))
    assert slices.marks() == ["before"]
    assert document_of(slices.publisher.messages[0])["spent"] is True

    paused = slices.run(slices.publisher.messages[0].content)

    assert slices.marks() == ["before", "asked"]
    assert len(slices.publisher.messages) == 1
    assert paused is not None
    assert (paused["completion"], "spent" in paused) == ("PAUSED", False)

    resumed = slices.run(slices.keys.sealed(paused), Budget())

    assert resumed is not None
    assert (resumed["completion"], resumed["result"]) == ("COMPLETED", 3)
    assert slices.marks() == ["before", "asked", "behind", "last"]
