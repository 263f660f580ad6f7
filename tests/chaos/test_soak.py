"""The soak: what it reads of a process, and how it judges growth."""

from __future__ import annotations

import pytest

from chaos.processes import this_process
from chaos.soak import Taken, growth, taken_by


def samples(*sizes: int) -> list[Taken]:
    """One sample a minute."""
    return [Taken(60.0 * number, size, 10, 1) for number, size in enumerate(sizes)]


def test_a_process_takes_memory_descriptors_and_threads() -> None:
    taken = taken_by(this_process(), 5.0)

    assert taken is not None
    assert taken.at == 5.0
    assert min(taken.memory, taken.descriptors, taken.threads) > 0


def test_growth_is_counted_by_the_hour_once_a_process_is_warm() -> None:
    assert growth(samples(0, 50, 90, 100, 101, 102, 103, 104)) == pytest.approx(60)


def test_a_process_that_stands_still_does_not_grow() -> None:
    assert growth(samples(10, 500, 700, 700, 700, 700)) == 0


@pytest.mark.parametrize("sizes", [(), (5,), (5, 6)])
def test_too_few_samples_tell_of_no_growth(sizes: tuple[int, ...]) -> None:
    assert growth(samples(*sizes)) == 0
