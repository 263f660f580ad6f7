"""Every format of workflow.json that was ever released: an operation that rests on one of them goes on.

`tests/documents/<format>/workflow.json` is what that version of the service wrote when it paused `fan` after its first
step; none of these files is ever changed.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.documents.model import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

GOLDEN = sorted((Path(__file__).parents[1] / "documents").glob("*/workflow.json"))


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    """A service whose slices end after each step."""
    return by_hand(slice_steps=1)


def resting_on(service: Service, golden: Path) -> int:
    """The operation that the golden document is of, paused, with that as its document."""
    operation = service.start("fan", width=2)
    service.deliver()
    service.pause(operation)
    content = golden.read_bytes()
    Path(service.show(operation).workflow_store or "").write_bytes(content)
    service.change("UPDATE operations SET workflow_digest = ? WHERE id = ?", sha256(content).hexdigest(), operation)
    return operation


def test_there_is_a_golden_document_of_each_format() -> None:
    assert [path.parent.name for path in GOLDEN] == [str(number) for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.parent.name)
def test_an_operation_that_rests_on_it_is_resumed(service: Service, golden: Path) -> None:
    operation = resting_on(service, golden)

    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == "1"
