from __future__ import annotations

import pytest

from pausable.errors import BulkMisdirected, BulkUnbounded
from pausable.model.bulk import BY_DEFAULT, Standing, Verb, completions_meant, may_stand_now, standing
from pausable.model.states import OPERATION_MOVES, Completion

_C = Completion


@pytest.mark.parametrize("verb", Verb)
def test_a_workflow_alone_means_those_that_would_change(verb: Verb) -> None:
    assert completions_meant(verb, "adding", ()) == BY_DEFAULT[verb]


@pytest.mark.parametrize("verb", Verb)
def test_to_name_nothing_means_nothing(verb: Verb) -> None:
    with pytest.raises(BulkUnbounded):
        completions_meant(verb, None, ())


@pytest.mark.parametrize(
    ("verb", "completion"),
    [(Verb.PAUSE, _C.COMPLETED), (Verb.RESUME, _C.IN_PROGRESS), (Verb.CANCEL, _C.FAILED), (Verb.PAUSE, _C.CANCELLED)],
)
def test_where_it_would_change_nothing_is_refused(verb: Verb, completion: Completion) -> None:
    with pytest.raises(BulkMisdirected, match=str(completion)):
        completions_meant(verb, "adding", [completion])


def test_what_goes_on_by_itself_is_found_where_it_comes_to() -> None:
    assert may_stand_now([_C.SCHEDULED]) == {_C.SCHEDULED, _C.IN_PROGRESS}
    assert may_stand_now([_C.REQUESTING_PAUSE]) == {_C.REQUESTING_PAUSE, _C.PAUSED}
    assert may_stand_now([_C.PAUSED]) == {_C.PAUSED}


@pytest.mark.parametrize(
    ("then", "since", "stands"),
    [
        (_C.PAUSED, [], Standing.MEANT),
        (_C.REQUESTING_PAUSE, [_C.PAUSED], Standing.MEANT),
        (_C.PAUSED, [_C.IN_PROGRESS, _C.REQUESTING_PAUSE], Standing.MOVED_ON),
        (_C.REQUESTING_PAUSE, [_C.IN_PROGRESS], Standing.MOVED_ON),
        (_C.REQUESTING_PAUSE, [_C.PAUSED, _C.IN_PROGRESS], Standing.MOVED_ON),
        (_C.IN_PROGRESS, [_C.REQUESTING_PAUSE], Standing.NOT_MEANT),
        (None, [_C.SCHEDULED], Standing.NOT_MEANT),
    ],
)
def test_who_moves_an_operation_takes_it_out(
    then: Completion | None, since: list[Completion], stands: Standing
) -> None:
    assert standing((_C.PAUSED, _C.REQUESTING_PAUSE), then, since) is stands


def test_what_it_comes_to_by_itself_is_a_legal_move() -> None:
    for completion in Completion:
        for after in may_stand_now([completion]) - {completion}:
            assert (completion, after) in OPERATION_MOVES
