"""`count-by` in parallel: parts that are counted at a time, each by itself, give what is counted in turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pausable.errors import InputChanged, InputUnusable
from pausable.workflows.shipped import count_by as module
from pausable.workflows.shipped.count_by import count_by
from tests.workflows.conftest import run
from tests.workflows.test_count_by import FAULTS, PEOPLE_BY, append, touch

if TYPE_CHECKING:
    from pathlib import Path

PARALLEL: dict[str, bytes] = {
    "plain rows": b"a,b\n" + b"".join(b"%d,%d\n" % (n % 7, n % 3) for n in range(500)),
    "line breaks in quotes": b"a,b\n" + b"".join(b'"%d\n,\n",%d\n' % (n % 7, n % 3) for n in range(500)),
    "lone quotes and blank lines": b"a,b\r\n" + b"".join(b'x"%d,%d\r\n\r\n' % (n % 7, n % 3) for n in range(500)),
    "one long row": b'a,b\n1,"' + b"x\n" * 5_000 + b'"\n2,3\n',
    "a header alone": b"a,b",
    "a byte order mark": b"\xef\xbb\xbfa,b\n" + b"".join(b"%d,%d\n" % (n % 7, n % 3) for n in range(500)),
}


def in_parallel(path: str, by: list[str], parts: int) -> dict[str, Any]:
    """What the parts give, each handed on through JSON as steps hand it on."""
    counted = [json.loads(json.dumps(module.count_part(path, by, number, parts))) for number in range(1, parts + 1)]
    ranked: dict[str, Any] = module.rank(json.loads(json.dumps(module.merge_parts(counted, path, by))), by, None)
    return ranked


@pytest.mark.parametrize("parts", [2, 4, 13])
@pytest.mark.parametrize("name", PARALLEL)
def test_parts_that_are_counted_at_a_time_give_the_counts_of_those_counted_in_turn(
    input_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, parts: int
) -> None:
    monkeypatch.setattr(module, "PIECE", 700)
    (input_dir / "t.csv").write_bytes(PARALLEL[name])
    in_turn = run(count_by.build(1, {"path": "t.csv", "by": ["a", "b"], "chunks": 3}))

    assert in_parallel("t.csv", ["a", "b"], parts) == in_turn


def test_the_people_are_counted_alike_in_turn_and_at_a_time(people: Path) -> None:
    assert in_parallel("people.csv", PEOPLE_BY["by"], 4) == run(count_by.build(1, PEOPLE_BY | {"chunks": 1}))


@pytest.mark.parametrize(("content", "sentence"), FAULTS)
def test_a_file_that_cannot_be_counted_at_a_time_is_told_in_the_same_sentence(
    input_dir: Path, content: bytes, sentence: str
) -> None:
    (input_dir / "t.csv").write_bytes(content)

    with pytest.raises(InputUnusable) as refused:
        in_parallel("t.csv", ["b"], 3)

    assert str(refused.value) == sentence


@pytest.mark.parametrize("change", [touch, append])
def test_a_file_that_changes_between_its_parts_is_told(people: Path, change: Any) -> None:
    first = module.count_part("people.csv", PEOPLE_BY["by"], 1, 2)
    change(people)
    second = module.count_part("people.csv", PEOPLE_BY["by"], 2, 2)

    with pytest.raises(InputChanged):
        module.merge_parts([first, second], "people.csv", PEOPLE_BY["by"])
