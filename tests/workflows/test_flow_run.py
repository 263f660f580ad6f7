"""Running a flow in the calling process: the engine's own rules, without a broker and without a worker."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import FlowCyclic
from app.workflows import Flow, group, signals, step

if TYPE_CHECKING:
    from pathlib import Path

    from app.handlers.base import Subject
    from app.workflows import State

#: What the steps of one test have done.
done: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@step
def give(value: Any = None) -> Any:
    done.append(value)
    return value


@step
def add(*numbers: int) -> int:
    return sum(numbers)


@step
def fail(value: Any = None) -> None:
    raise ValueError(f"no {value}")


@step(max_retries=2, retry_delay=0.05)
def third_time_lucky() -> int:
    done.append("run")
    if len(done) < 3:
        raise RuntimeError("again")
    return len(done)


@step(trigger="all_finished")
def clean_up(value: Any) -> str:
    return f"cleaned after {value}"


@step
def where() -> list[int]:
    return [os.getpid(), threading.get_ident()]


@step
def pause() -> None:
    raise signals.PAUSE("somebody must look at it")


def test_a_flow_runs_here_and_tells_the_state_of_each_node() -> None:
    flow = Flow("sums")
    one = flow.add(give.s(1))
    many = flow.add(group(add.s(one, number) for number in (1, 2)))

    state = flow.run()

    assert state.is_successful()
    assert repr(state) == 'Success("All reference tasks succeeded.")'
    assert state.result[one].result == 1
    assert state.result[many].result == [2, 3]
    assert repr(state.result) == (
        '{<Node give>: Success("Task run succeeded."), <Node group>: Success("Task run succeeded.")}'
    )


def test_the_code_runs_in_the_calling_thread_where_breakpoints_work() -> None:
    flow = Flow()
    node = flow.add(where.s())

    assert flow.run().result[node].result == [os.getpid(), threading.get_ident()]


def test_a_failure_its_trigger_and_the_reference_steps_follow_the_same_rules() -> None:
    flow = Flow("cleaned", reference=("fail",))
    failed = flow.add(fail.s("way"))
    skipped, cleaned = flow.add(give.s(failed)), flow.add(clean_up.s(failed))

    state = flow.run()

    assert state.is_failed()
    assert repr(state.result[failed]) == 'Failed("no way")'
    assert state.result[skipped].name == "TriggerFailed"
    assert state.result[cleaned].result == "cleaned after None"
    assert done == []


def test_a_retry_is_waited_for() -> None:
    flow = Flow()
    node = flow.add(third_time_lucky.s())

    assert flow.run().result[node].result == 3


def test_a_pause_ends_the_run() -> None:
    flow = Flow()
    first = flow.add(pause.s())
    behind = flow.add(give.s(2), upstream=[first])

    state = flow.run()

    assert repr(state) == 'Paused("somebody must look at it")'
    assert state.result[first].is_paused()
    assert state.result[behind].is_pending()


def test_handlers_of_a_flow_are_asked_and_shown_the_arguments() -> None:
    def note(obj: Subject, old: State, new: State) -> None:
        done.append((str(obj), obj.arguments, old.name, new.name))

    flow = Flow("told", state_handlers=[note])
    flow.add(add.s(1, 2))

    flow.run(source="x")

    whom = "<Operation: told>", {"source": "x"}
    assert done == [(*whom, "Scheduled", "Running"), (*whom, "Running", "Success")]


def test_a_flow_of_a_thousand_nodes_in_a_line_runs_to_its_end() -> None:
    flow = Flow()
    last: Any = 0
    for _ in range(1000):
        last = flow.add(add.s(last, 1))

    assert flow.run().result[last].result == 1000


def test_a_cycle_is_refused_before_anything_runs() -> None:
    flow = Flow()
    one = flow.add(give.s(1))
    flow.edge(flow.add(give.s(one)), one)

    with pytest.raises(FlowCyclic):
        flow.run()

    assert done == []


def test_a_flow_is_drawn_before_it_has_run_and_coloured_by_what_the_run_returned(tmp_path: Path) -> None:
    flow = Flow("drawn")
    failed = flow.add(fail.s("way"), name="load")
    flow.add(give.s(failed), name="clean")

    before = flow.visualize()
    after = flow.visualize(flow.run(), file=tmp_path / "drawn.svg")

    assert ">Pending<" in before
    assert ">Failed<" in after
    assert ">TriggerFailed<" in after
    assert (tmp_path / "drawn.svg").read_text() == after
