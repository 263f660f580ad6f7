"""Calls of steps are joined by `|` as Celery joins them, at a cost that grows with the chain alone."""

from __future__ import annotations

import cProfile
import json
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, group
from celery.canvas import _chain

from tests.scale.flows import count_up

if TYPE_CHECKING:
    from tests.execution.conftest import ByHand


def joined(many: int) -> Any:
    return reduce(or_, (count_up.s(number) for number in range(many)))


def calls_to_join(many: int) -> int:
    """Function calls that joining so many steps takes."""
    profile = cProfile.Profile()
    profile.runcall(joined, many)
    return sum(entry.callcount for entry in profile.getstats())


def test_joining_more_steps_takes_no_more_work_for_each(by_hand: ByHand) -> None:
    by_hand(flows=("tests.scale.flows",))
    joined(10)

    assert calls_to_join(3_000) < 11 * calls_to_join(300)


@pytest.mark.parametrize(
    "made",
    [
        lambda s: s(1) | s(2) | s(3),
        lambda s: s(1) | (s(2) | s(3)) | s(4),
        lambda s: (s(1) | s(2)) | group(s(3), s(4)) | s(5) | s(6),
        lambda s: s(1) | group(s(2), s(3)) | group(s(4), s(5)),
        lambda s: s(1) | chain(s(2), s(3)).set(link=s(4)) | s(5),
        lambda s: (s(1) | s(2)).on_error(s(3)) | s(4),
    ],
)
def test_what_is_joined_is_what_celery_makes_of_it(by_hand: ByHand, made: Any) -> None:
    service = by_hand(flows=("tests.scale.flows",))
    plain = service.celery.signature(count_up.name)

    def of_celery(number: int) -> Any:
        return plain.clone(args=(number,))

    assert json.dumps(made(count_up.s)) == json.dumps(made(of_celery))


def test_a_chain_stays_as_it_is_when_another_step_is_joined_to_it(by_hand: ByHand) -> None:
    by_hand(flows=("tests.scale.flows",))
    first: Any = count_up.s(1) | count_up.s(2)

    second, third = first | count_up.s(3), first | count_up.s(4)

    assert [len(one.tasks) for one in (first, second, third)] == [2, 3, 3]
    assert isinstance(second, _chain)
