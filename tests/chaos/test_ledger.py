"""The ledger, written as steps write it and read as the judge reads it; and the plan, which the seed alone decides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from chaos import ledger
from chaos.plan import make_plan
from chaos.processes import this_process

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = SimpleNamespace(slug="mix-1", operation_id=7, retries=2)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ledger.PLACE, str(tmp_path / "ledger"))
    return tmp_path / "ledger"


def test_an_execution_is_read_as_it_was_written(file: Path) -> None:
    with ledger.executing(REQUEST):
        pass

    (one,) = ledger.read(file)
    assert one.turn == (7, "mix-1", 2, 0)
    assert one.process == this_process()
    assert one.ended is not None
    assert one.begun <= one.ended


def test_code_that_raises_has_ended_too(file: Path) -> None:
    with pytest.raises(ArithmeticError), ledger.executing(REQUEST):
        raise ArithmeticError

    assert ledger.read(file)[0].ended is not None


def test_code_that_has_not_ended_is_told_from_code_that_has(file: Path) -> None:
    with ledger.executing(REQUEST):
        (one,) = ledger.read(file)

    assert one.ended is None


def test_the_same_seed_makes_the_same_plan() -> None:
    assert make_plan(7, 60, 100) == make_plan(7, 60, 100)
    assert make_plan(7, 60, 100) != make_plan(8, 60, 100)
