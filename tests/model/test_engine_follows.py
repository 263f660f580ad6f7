"""The moves of the code are the model's: the real engine is driven along its paths and compared after every move."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from pausable.model.states import ENDED, Completion
from tests.amounts import usually
from tests.execution.witness import illegal_moves
from tests.model.driving import hands_in, rows_in
from tests.model.flow import RESULT
from tests.model.paths import covering, kinds_on, random_path
from tests.model.state import Budget, start

if TYPE_CHECKING:
    import pytest

    from tests.model.driving import Driven
    from tests.model.paths import Path

#: What may befall the operation on the covering paths.
BUDGETS = [
    Budget(kills=1, pauses=1, resumes=1, losses=1),
    Budget(stops=1, pauses=1, resumes=1),
    Budget(stops=1, kills=1, pauses=1, cancels=1),
    Budget(duplicates=1, pauses=1, cancels=1, resumes=1),
]
#: And on the random ones.
EVERYTHING = Budget(kills=2, stops=2, losses=1, duplicates=1, pauses=2, resumes=2, cancels=1)
RANDOM_PATHS = usually(40, long=200)


def follow(driven: Driven, budget: Budget, path: Path) -> None:
    """Make every move of the path on the engine, and see that it stands where the model does."""
    driven.start()
    messages = start(budget).messages
    for number, move in enumerate(path):
        driven.make(move)
        driven.trim(move.after.messages)
        messages = tuple(map(driven.messages.count, range(len(messages))))
        told = f"after {' > '.join(f'{one.name} {one.actor}/{one.step}' for one in path[: number + 1])}"
        assert driven.rows() == rows_in(move.after), told
        assert driven.hands() == hands_in(move.after), told
        assert messages == move.after.messages, told
    assert illegal_moves(driven.service, driven.operation) == []


def come_to_an_end(driven: Driven) -> None:
    """Whatever the path has left behind: the operation ends, with the result of one that nobody disturbed."""
    driven.recover()
    assert driven.service.completion(driven.operation) in ENDED
    if driven.service.completion(driven.operation) is Completion.COMPLETED:
        assert driven.service.show(driven.operation).result == RESULT


def test_on_paths_of_every_kind_of_move_from_every_kind_of_state_the_engine_stands_where_the_model_does(
    driven: Driven, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = covering(BUDGETS)

    for budget, path in paths:
        follow(driven, budget, path)

    kinds = {kind for budget, path in paths for kind in kinds_on(budget, path)}
    with capsys.disabled():
        moves = sum(len(path) for _budget, path in paths)
        print(f"\n{len(paths)} paths, {moves:,} moves of {len(kinds)} kinds: the engine follows the model")  # noqa: T201
    assert {kind[-1] for kind in kinds} >= {"settle and die", "lose unproven", "confirm", "hand over", "cancel"}


def test_on_random_paths_too_and_from_wherever_they_lead_it_comes_to_its_end(driven: Driven) -> None:
    seed = Random().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    rng = Random(seed)

    for _ in range(RANDOM_PATHS):
        follow(driven, EVERYTHING, random_path(rng, EVERYTHING))
        come_to_an_end(driven)
