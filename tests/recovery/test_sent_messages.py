"""Messages that a step sends: an orderly restart of the worker loses none of them, begun or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.execution.service import wait_for
from tests.recovery.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

    Employ = Callable[..., Mortal]


def test_a_worker_that_is_restarted_loses_no_message_that_a_step_has_sent(service: Service, employ: Employ) -> None:
    ledger, worker = service.path(), employ(processes=2)
    service.ended(service.start("sending", ledger=ledger, many=10))
    wait_for(lambda: len(lines_of(ledger)) >= 2)

    worker.leave()
    worker.process.wait()
    employ(processes=2)

    wait_for(lambda: len(lines_of(ledger)) >= 11)
    assert sorted(map(int, lines_of(ledger))) == list(range(11))


def test_no_copy_is_kept_of_a_slice_nor_of_what_has_begun(service: Service, employ: Employ) -> None:
    employ()
    before = service.queue.info("commandstats").get("cmdstat_hset", {"calls": 0})["calls"]

    assert [service.run("sums", numbers=[1, 2]).result for _ in range(5)] == ["3"] * 5

    assert service.queue.info("commandstats").get("cmdstat_hset", {"calls": 0})["calls"] == before
    assert service.queue.hlen("unacked") == 0
