"""How deep JSON is nested is told from its text."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from pausable.canvas.reader import MAX_DEPTH
from pausable.model.nesting import DEEPEST, DEEPEST_VALUE, is_nested_deeper

TEXTS = ("", "[", "]{", '"', "\\", '\\"[', "\\\\", "\u20ac[", "[[[[", '"}', "\n")


def made(rng: random.Random, deep: int) -> Any:
    """A value that is at most so deep."""
    if deep == 0 or rng.random() < 0.2:
        return rng.choice([None, 1, 2.5, *TEXTS])
    parts = [made(rng, deep - 1) for _ in range(rng.randrange(3))]
    return parts if rng.random() < 0.5 else {rng.choice(TEXTS) + str(one): part for one, part in enumerate(parts)}


def depth(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_the_depth_of_any_value_is_told_exactly(ensure_ascii: bool) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    for _ in range(500):
        value = made(rng, 12)

        text = json.dumps(value, ensure_ascii=ensure_ascii, indent=rng.choice([None, 1]))

        assert [is_nested_deeper(text, bound) for bound in range(14)] == [depth(value) > bound for bound in range(14)]


def test_a_document_has_room_around_the_deepest_value() -> None:
    assert DEEPEST_VALUE + MAX_DEPTH + 50 < DEEPEST
