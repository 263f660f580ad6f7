"""Every error says what is wrong in a sentence of its own, and survives being pickled."""

from __future__ import annotations

import pickle
from dataclasses import fields
from string import Formatter
from typing import TYPE_CHECKING

import pytest

from pausable.errors import PausableError, PausePointIncomplete, RequestFailed, VersionPassed

if TYPE_CHECKING:
    from collections.abc import Iterator


def below(error: type[PausableError]) -> Iterator[type[PausableError]]:
    for one in error.__subclasses__():
        yield one
        yield from below(one)


SENTENCES = [error for error in below(PausableError) if "sentence" in vars(error)]


@pytest.mark.parametrize("error", SENTENCES)
def test_a_sentence_names_only_what_its_error_carries(error: type[PausableError]) -> None:
    named = {name for _, name, _, _ in Formatter().parse(error.sentence) if name}

    assert named <= {field.name for field in fields(error)} | {*error.__init__.__code__.co_varnames}  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [*below(RequestFailed)])
def test_an_error_of_a_request_says_how_it_is_answered(error: type[RequestFailed]) -> None:
    assert 400 <= error.status < 600
    assert error.slug
    assert error.title


@pytest.mark.parametrize("error", [VersionPassed(3, 7), PausePointIncomplete("clause")])
def test_an_error_that_was_pickled_says_the_same(error: PausableError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))
