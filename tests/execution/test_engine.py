"""Operations give what plain Celery gives, whatever their shape, undisturbed or paused and resumed at any point."""

from __future__ import annotations

import json
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from pausable.errors import MoveRefused, VersionPassed
from pausable.model.states import ENDED, Completion
from tests.execution.flows import SHAPES, canvas_of, lines_of
from tests.execution.pausing import value_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from tests.execution.service import Service

SEEDS = range(20_000, 20_200)
EVERY_STEP = [(shape, stop) for shape, (steps, _make) in SHAPES.items() for stop in steps]


def sent_to(app: Celery) -> dict[int, Any]:
    """The random canvases as plain Celery runs them, by their seeds."""
    app.set_current()
    return {seed: canvas_of(seed).apply_async() for seed in SEEDS}


def test_random_canvases_give_what_plain_celery_gives(service: Service, plain_app: Celery) -> None:
    plain = sent_to(plain_app)
    service.celery.set_current()

    started = {seed: service.start("random", seed=seed) for seed in SEEDS}

    expected = {seed: json.loads(json.dumps(value_of(result))) for seed, result in plain.items()}
    results = {seed: json.loads(service.ended(number).result or '"none"') for seed, number in started.items()}
    wrong = {seed: (results[seed], expected[seed]) for seed in SEEDS if results[seed] != expected[seed]}
    assert not wrong


@pytest.mark.parametrize(("shape", "stop"), EVERY_STEP)
def test_a_workflow_paused_at_any_point_gives_the_same_and_runs_each_step_once(
    service: Service, shape: str, stop: str
) -> None:
    undisturbed = service.run("shape", shape=shape, ledger=service.path())
    ledger = service.path()

    operation = service.start("shape", shape=shape, ledger=ledger, stop=stop)
    if service.wait_until(operation, Completion.PAUSED, Completion.COMPLETED).completion is Completion.PAUSED:
        service.resume(operation)

    assert service.ended(operation).result == undisturbed.result
    assert sorted(lines_of(ledger)) == list(SHAPES[shape][0])


def disturb(service: Service, operation: int, rng: Random) -> None:
    """Pause and resume an operation at random moments until it has ended; it is quiescent whenever it is PAUSED."""
    while (completion := service.completion(operation)) not in ENDED:
        if completion is Completion.PAUSED:
            view = service.commands.show(service.ada, operation)
            assert view.operation.completion is not Completion.PAUSED or view.in_flight == ()
        command = rng.choice([service.pause, service.resume])
        try:
            command(operation)
        except (MoveRefused, VersionPassed):
            assert service.completion(operation) in ENDED
        time.sleep(rng.choice([0, 0, 0.001, 0.01]))


@pytest.mark.parametrize("seed", range(30_000, 30_004))
def test_operations_that_are_paused_and_resumed_at_random_give_the_same_and_run_each_step_once(
    service: Service, seed: int
) -> None:
    rng = Random(seed)
    shapes = [rng.choice(list(SHAPES)) for _ in range(8)]
    undisturbed = [service.run("shape", shape=shape, ledger=service.path()).result for shape in shapes]
    wanted = {service.path(): shape for shape in shapes}
    started = [service.start("shape", shape=shape, ledger=ledger) for ledger, shape in wanted.items()]

    for operation in started:
        disturb(service, operation, rng)

    assert [service.ended(operation).result for operation in started] == undisturbed
    assert all(sorted(lines_of(ledger)) == list(SHAPES[shape][0]) for ledger, shape in wanted.items())


def test_a_step_whose_message_comes_to_two_workers_at_once_runs_once(service: Service) -> None:
    for _ in range(20):
        ledger = service.path()
        operation = service.start("shape", shape="chain", ledger=ledger)
        for _ in range(4):
            service.celery.send_task("operations.run_slice", (operation, 0))

        assert service.ended(operation).completion is Completion.COMPLETED
        assert lines_of(ledger) == ["a", "b", "c", "d"]


def test_an_operation_that_was_paused_by_one_worker_goes_on_in_another(by_hand: Callable[..., Service]) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("shape", shape="nested", ledger=ledger, stop="c")
    with service.working(processes=1):
        service.wait_until(operation, Completion.PAUSED)

    service.resume(operation)
    service.deliver_all()

    assert service.completion(operation) is Completion.COMPLETED
    assert sorted(lines_of(ledger)) == list("abcdefg")
