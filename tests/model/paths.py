"""Paths through the model: a set that makes each kind of move from each kind of state, and random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.model.clauses import Rules
from tests.model.rules import moves
from tests.model.search import canonical, search
from tests.model.state import start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

    from tests.model.clauses import Move
    from tests.model.search import Found
    from tests.model.state import Budget, State

    Path = list[Move]
    Kind = tuple[object, ...]

RULES = Rules()


def kind_of(state: State, name: str) -> Kind:
    """A kind of move from a kind of state: where the operation and its steps stand, and what becomes of that."""
    branch = sorted(row.state for row in state.steps[1:3])
    return state.completion, state.steps[0].state, *branch, state.steps[3].state, bool(state.lost), name


def covering(budgets: Iterable[Budget]) -> list[tuple[Budget, Path]]:
    """Paths on which every kind of move is made from every kind of state that the budgets lead to."""
    covered: set[Kind] = set()
    paths: list[tuple[Budget, Path]] = []
    for budget in budgets:
        found = search(start(budget), RULES)
        for state in reversed(list(found.reached)):  # the longest ways first: they cover what lies on them
            new = [move for move in moves(state, RULES) if kind_of(state, move.name) not in covered]
            for move in {move.name: move for move in new}.values():
                if kind_of(state, move.name) not in covered:
                    path = _concrete(found, budget, state, move)
                    paths.append((budget, path))
                    covered |= set(kinds_on(budget, path))
    return paths


def kinds_on(budget: Budget, path: Path) -> Iterator[Kind]:
    """The kinds of moves that a path makes."""
    state = start(budget)
    for move in path:
        yield kind_of(state, move.name)
        state = move.after


def random_path(rng: Random, budget: Budget, longest: int = 40) -> Path:
    """A path made of whatever may happen, until the operation has ended or nothing happens any more."""
    state = start(budget)
    path: Path = []
    while len(path) < longest and (choice := list(moves(state, RULES))):
        path.append(rng.choice(choice))
        state = path[-1].after
    return path


def _concrete(found: Found, budget: Budget, state: State, last: Move) -> Path:
    """The way to a state and one move on, told without taking one worker for the other."""
    way = [canonical(last.after)]
    while (step := found.reached[state]) is not None:
        way.append(state)
        state = step[0]
    path: Path = []
    present = start(budget)
    for target in reversed(way):
        to_it = [move for move in moves(present, RULES) if canonical(move.after) == target]
        path.append(next((move for move in to_it if move.name == last.name), to_it[0]))
        present = path[-1].after
    return path
