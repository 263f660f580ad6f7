"""The same asked of many operations: once of each that was meant, by whichever workers there are."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable import clock
from pausable.db import bulks as store
from pausable.model.bulk import Verb
from pausable.model.states import Completion
from pausable.service import bulks as asking
from pausable.service import bulks as working_off
from pausable.service.bulks import Demand, work_off
from pausable.worker.sweeper import sweep
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.bulks import Bulk
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C = Completion
DAWN = 1_800_000_000.0


def start(service: Service, many: int = 1) -> list[int]:
    return [service.start("adding", numbers=[1, 2, 3]) for _ in range(many)]


def paused(service: Service, many: int) -> list[int]:
    operations = start(service, many)
    for one in operations:
        service.pause(one)
    return operations


def paused_before_it_starts(service: Service) -> int:
    """One that workers cannot have ended before it is paused."""
    numbers = {"numbers": [1, 2, 3]}
    view, _ = service.commands.start(service.ada, "adding", numbers, start_at=clock.now() + 2)
    service.pause(view.operation.id)
    return view.operation.id


def ask(service: Service, verb: Verb, **given: Any) -> Bulk:
    demand = Demand(verb, **({"workflow": "adding"} | given))
    return asking.ask(service.engine.database, service.ada, demand, known=service.commands.workflows.names)[0]


def now(service: Service, bulk: Bulk) -> Bulk:
    return asking.show(service.engine.database, service.ada, bulk.id)


def work(service: Service, bulk: Bulk) -> Bulk:
    """Sweep until it is finished."""
    while (present := now(service, bulk)).finished_at is None:
        work_off(service.engine)
    return present


def standings(service: Service, operations: list[int]) -> Counter[Completion]:
    return Counter(service.completion(one) for one in operations)


def who_asked(service: Service, operation: int, new: Completion) -> list[tuple[str, str | None]]:
    return [(event.who, event.why) for event in service.commands.events(service.ada, operation) if event.new == new]


@pytest.mark.parametrize(
    ("verb", "then"), [(Verb.PAUSE, _C.PAUSED), (Verb.CANCEL, _C.CANCELLED), (Verb.RESUME, _C.IN_PROGRESS)]
)
def test_every_operation_that_is_meant_is_asked_once(by_hand: ByHand, verb: Verb, then: Completion) -> None:
    service = by_hand()
    operations = paused(service, 3) if verb is Verb.RESUME else start(service, 3)

    bulk = work(service, ask(service, verb, reason="a deploy"))

    assert (bulk.state, bulk.total, bulk.done, bulk.refused, bulk.left) == ("DONE", 3, 3, 0, 0)
    assert standings(service, operations) == {then: 3}
    asked = _C.REQUESTING_PAUSE if verb is Verb.PAUSE else _C.REQUESTING_CANCEL if verb is Verb.CANCEL else then
    for one in operations:
        assert who_asked(service, one, asked)[-1] == ("ada", f"bulk {bulk.id}; a deploy")


def test_what_is_started_or_paused_after_that_is_not_meant(by_hand: ByHand) -> None:
    service = by_hand()
    (runs,) = start(service)
    meant = paused(service, 2)
    bulk = ask(service, Verb.RESUME)
    service.pause(runs)
    later = paused(service, 1)

    done = work(service, bulk)

    assert (done.total, done.done, done.refused) == (2, 2, 0)
    assert standings(service, meant) == {_C.IN_PROGRESS: 2}
    assert standings(service, [runs, *later]) == {_C.PAUSED: 2}


def test_what_a_person_moved_since_keeps_to_that(by_hand: ByHand) -> None:
    service = by_hand()
    meant = paused(service, 3)
    bulk = ask(service, Verb.RESUME)
    service.cancel(meant[0])
    service.resume(meant[1])
    service.pause(meant[1])

    done = work(service, bulk)

    assert (done.done, done.refused) == (1, 2)
    assert json.loads(done.refusals) == {"moved-on": {"count": 2, "operations": [meant[1]]}}
    assert [service.completion(one) for one in meant] == [_C.CANCELLED, _C.PAUSED, _C.IN_PROGRESS]


def test_what_began_since_by_itself_is_still_meant(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    (operation,) = start(service)
    bulk = ask(service, Verb.PAUSE, completions=[_C.SCHEDULED])
    service.deliver()
    assert service.completion(operation) is _C.IN_PROGRESS

    assert work(service, bulk).done == 1
    assert service.completion(operation) is _C.PAUSED


def test_those_that_refuse_are_counted_with_their_reasons_and_hold_nobody_up(by_hand: ByHand) -> None:
    service = by_hand()
    meant = paused(service, 3)
    Path(service.show(meant[1]).workflow_store or "").unlink()

    bulk = work(service, ask(service, Verb.RESUME))

    assert (bulk.done, bulk.refused) == (2, 1)
    assert json.loads(bulk.refusals) == {"document-unusable": {"count": 1, "operations": [meant[1]]}}
    assert [service.completion(one) for one in meant] == [_C.IN_PROGRESS, _C.PAUSED, _C.IN_PROGRESS]


def test_a_gentle_thaw_lets_so_many_a_minute_go_on(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        meant = paused(service, 4)
        bulk = ask(service, Verb.RESUME, per_minute=2)
        seen = []
        for _ in range(5):
            sweep(service.engine)
            sweep(service.engine)
            seen.append(now(service, bulk).done)
            time.advance(30)

        assert seen == [1, 2, 3, 4, 4]
        assert now(service, bulk).state == "DONE"
    assert standings(service, meant) == {_C.IN_PROGRESS: 4}


def test_what_a_stop_of_all_workers_cost_is_not_caught_up_on(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        paused(service, 4)
        bulk = ask(service, Verb.RESUME, per_minute=2)
        sweep(service.engine)
        time.advance(3600)
        sweep(service.engine)

        assert now(service, bulk).done == 2


def test_a_bulk_that_is_stopped_leaves_the_rest_as_it_is(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        meant = paused(service, 3)
        bulk = ask(service, Verb.RESUME, per_minute=1)
        sweep(service.engine)
        stopped, is_new = asking.stop(service.engine.database, service.ada, bulk.id)
        time.advance(3600)
        sweep(service.engine)

        assert is_new
        assert not asking.stop(service.engine.database, service.ada, bulk.id)[1]
        assert (stopped.state, stopped.stopped_by, stopped.left) == ("STOPPED", "ada", 2)
    assert standings(service, meant) == {_C.IN_PROGRESS: 1, _C.PAUSED: 2}


def test_a_pause_of_many_may_have_an_end(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        meant = start(service, 2)
        work(service, ask(service, Verb.PAUSE, resume_at=DAWN + 60))
        assert standings(service, meant) == {_C.PAUSED: 2}
        time.advance(60)
        sweep(service.engine)

    assert standings(service, meant) == {_C.IN_PROGRESS: 2}


def test_many_workers_ask_each_operation_once(by_hand: ByHand) -> None:
    service = by_hand()
    meant = paused(service, 40)
    bulk = ask(service, Verb.RESUME)

    def work_here(_number: int) -> None:
        while now(service, bulk).finished_at is None:
            work_off(service.engine)
        service.engine.database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work_here, range(4)))

    assert (now(service, bulk).done, now(service, bulk).refused) == (40, 0)
    for one in meant:
        assert len([why for _, why in who_asked(service, one, _C.IN_PROGRESS) if why]) == 1


def test_a_change_that_is_not_committed_is_not_counted_and_made_again(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    meant = paused(service, 2)
    bulk = ask(service, Verb.RESUME)
    noted = store.work_on

    def die(*given: Any, **changed: Any) -> bool:
        noted(*given, **changed)
        raise KeyboardInterrupt  # as a worker that is killed between the change and its commit

    monkeypatch.setattr(working_off, "work_on", die)
    with pytest.raises(KeyboardInterrupt):
        work_off(service.engine)
    monkeypatch.undo()

    assert now(service, bulk).done == 0
    assert standings(service, meant) == {_C.PAUSED: 2}
    assert work(service, bulk).done == 2


def test_workers_work_a_bulk_off_while_operations_run(service: Service) -> None:
    meant = [paused_before_it_starts(service) for _ in range(30)]
    bulk = ask(service, Verb.RESUME, per_minute=1200)

    for one in meant:
        assert service.ended(one).result == "6"
    wait_for(lambda: now(service, bulk).finished_at is not None)
    done = now(service, bulk)
    assert (done.total, done.done, done.refused) == (30, 30, 0)
    assert (done.finished_at or 0) - done.created_at >= (30 - 20 - 2) * 60 / 1200


def test_a_bulk_outlives_its_workers(by_hand: ByHand) -> None:
    service = by_hand()
    meant = paused(service, 5)
    bulk = ask(service, Verb.RESUME, per_minute=300)
    with service.working():
        wait_for(lambda: now(service, bulk).done >= 2)

    with service.working():
        for one in meant:
            assert service.ended(one).result == "6"
    for one in meant:
        assert len([why for _, why in who_asked(service, one, _C.IN_PROGRESS) if why]) == 1
