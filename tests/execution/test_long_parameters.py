"""A text of a shipped workflow that is as long as a body is refused; the longest that is taken comes to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from app.web.requests import LARGEST_BODY
from pausable.errors import ArgumentsInvalid
from pausable.model.states import ENDED, Completion
from tests.databases import on_sqlite_alone

if TYPE_CHECKING:
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

pytestmark = on_sqlite_alone
FLOWS = ("pausable.workflows.shipped.add_numbers", "pausable.workflows.shipped.count_by")
PIECES = ("x", "../", "a/", '"://a:', "\\", "{", "\u0130", "\n", "* ")


def filled(piece: str, size: int) -> str:
    """So many characters of it."""
    return (piece * (size // len(piece) + 1))[:size]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand(flows=FLOWS)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("name", ["path", "by"])
def test_a_text_as_long_as_a_body_is_refused_in_few_words(service: Service, name: str, piece: str) -> None:
    text = filled(piece, LARGEST_BODY)
    arguments: dict[str, Any] = {"path": "a.csv", "by": ["name"]} | {name: text if name == "path" else [text]}

    with pytest.raises(ArgumentsInvalid) as refused:
        service.start("count-by", **arguments)

    assert len(str(refused.value)) < 5000


def test_a_list_as_long_as_a_body_is_refused(service: Service) -> None:
    with pytest.raises(ArgumentsInvalid, match="at most 16"):
        service.start("count-by", path="a.csv", by=["x"] * (LARGEST_BODY // 4))


def test_the_longest_texts_that_are_taken_come_to_an_end_and_others_go_on(service: Service) -> None:
    (service.settings.input_dir / "a.csv").write_text("name\n1\n")
    started = []
    with service.working(processes=1):
        for piece in PIECES:
            columns = [f"{number} {filled(piece, 990)}" for number in range(16)]
            started.append(service.start("count-by", path="a.csv", by=columns, chunks=1))
            started.append(service.start("count-by", path="a.csv", by=columns, parallel=2))
        started.append(service.start("count-by", path=filled("a/", 1023) + "b", by=["name"]))
        other = service.start("add-numbers", start=1)

        ended = [service.wait_until(one, *ENDED) for one in started]

        assert service.ended(other).completion is Completion.COMPLETED
    assert {one.completion for one in ended} == {Completion.FAILED}
    assert max(len(one.error or "") for one in ended) < 64 * 1024
