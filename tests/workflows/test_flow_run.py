"""Running a flow in the calling process: the engine's own rules, without a broker and without a worker."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pausable import Flow, group, signals, states, step
from pausable.errors import CallMisfits, CanvasEmpty, FlowCyclic, FlowMalformed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pausable import State
    from pausable.engine.handlers import Subject

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


@step
def fail_silently() -> None:
    raise ConnectionError


@step
def needs_two(one: int, two: int) -> int:
    return one + two


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
    assert repr(state.result[failed]) == 'Failed("ValueError: no way")'
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

    flow.run(parameters={"source": "x"})

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


def test_a_node_whose_state_is_given_is_not_run_and_hands_on_its_result() -> None:
    flow = Flow()
    first = flow.add(give.s(1))
    second = flow.add(add.s(first, 1))

    state = flow.run(task_states={first: states.Success(result=41)})

    assert state.is_successful()
    assert state.result[second].result == 42
    assert done == []


def test_a_run_goes_on_where_an_earlier_one_ended() -> None:
    flow = Flow()
    first = flow.add(give.s(3))
    second = flow.add(add.s(first))
    earlier = flow.run()

    again = flow.run(task_states=earlier.result)

    assert again.is_successful()
    assert again.result[second].result == 3
    assert done == [3]


def test_a_given_failure_stops_what_waits_for_it() -> None:
    flow = Flow()
    first = flow.add(give.s(1))
    second = flow.add(add.s(first, 1))

    state = flow.run(task_states={first: states.Failed("no data")})

    assert state.is_failed()
    assert repr(state.result[second]) == 'TriggerFailed("Trigger was "all_successful" but give is Failed.")'


def test_an_argument_that_no_flow_takes_is_refused() -> None:
    flow = Flow()
    flow.add(give.s(1))

    with pytest.raises(TypeError, match=r"flow\.run has no argument 'source'"):
        flow.run(source="x")

    assert done == []


def test_an_empty_flow_is_refused() -> None:
    with pytest.raises(CanvasEmpty, match="an operation needs at least one"):
        Flow().run()


def test_a_state_for_a_node_of_another_flow_is_refused() -> None:
    flow, other = Flow("one"), Flow("other")
    flow.add(give.s(1))
    foreign = other.add(give.s(2))

    with pytest.raises(FlowMalformed, match="task_states holds <Node give>"):
        flow.run(task_states={foreign: states.Success()})


@pytest.mark.parametrize(
    ("misuse", "sentence"),
    [
        (lambda _flow, node: f"{node}", "in a text has no value before it has run"),
        (lambda _flow, node: node["x"], "is asked for before it has run"),
        (lambda _flow, node: list(node), "is asked for before it has run"),
        (lambda flow, node: flow.map(give, over=node), "map needs several nodes or values"),
        (lambda flow, _node: flow.map(give, over=3), "map needs several nodes or values"),
        (lambda flow, _node: flow.add(give.s(1), upstream="give"), "neither a node nor a list of nodes"),
        (lambda flow, _node: flow.add(give.s(1), upstream=3), "neither a node nor a list of nodes"),
        (lambda flow, _node: flow.add(give.s(1), name=""), "the node name ''"),
        (lambda flow, _node: flow.add(give.s(1), name="a/b"), "the node name 'a/b'"),
        (lambda flow, _node: flow.add(give.s(1), name="end."), "the node name 'end.'"),
        (lambda flow, _node: flow.add(give.s(1), name="a" * 201), "the node name"),
        (lambda flow, _node: flow.add(give.s(1), name=7), "the node name 7"),
    ],
)
def test_a_misuse_of_a_node_is_refused_with_a_sentence(misuse: Callable[[Flow, Any], Any], sentence: str) -> None:
    flow = Flow("sums")
    node = flow.add(give.s(1))

    with pytest.raises(FlowMalformed, match=re.escape(sentence)):
        misuse(flow, node)

    assert flow.nodes == [node]


def test_one_node_may_be_given_as_upstream_without_a_list() -> None:
    flow = Flow()
    first = flow.add(fail.s())
    second = flow.add(give.s(2), upstream=first)

    state = flow.run()

    assert state.result[second].name == "TriggerFailed"


def test_reference_steps_may_be_given_as_tasks() -> None:
    flow = Flow(reference=[give])
    flow.add(fail.s())
    flow.add(give.s(2))

    assert flow.run().is_successful()


def test_an_error_without_a_text_says_its_type() -> None:
    flow = Flow("calls")
    node = flow.add(fail_silently.s())

    state = flow.run()

    assert repr(state.result[node]) == 'Failed("ConnectionError")'
    assert repr(state) == 'Failed("Some reference tasks failed. fail_silently: ConnectionError")'


def test_a_step_that_its_trigger_did_not_let_run_says_why() -> None:
    flow = Flow()
    failed = flow.add(fail.s("way"))
    behind = flow.add(give.s(failed))
    last = flow.add(give.s(behind))

    state = flow.run()

    sentence = 'Trigger was "all_successful" but fail is Failed.'
    assert [state.result[node].message for node in (behind, last)] == [sentence, sentence]


def test_a_call_that_does_not_fit_its_step_is_refused_before_anything_runs() -> None:
    flow = Flow()
    flow.add(give.s(1))
    flow.add(needs_two.s(1))

    with pytest.raises(
        CallMisfits, match="needs_two cannot be called with these arguments: missing a required argument"
    ):
        flow.run()

    assert done == []
