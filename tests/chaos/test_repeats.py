"""What counts as a repetition, what explains it, and how long a recovery took."""

from __future__ import annotations

from dataclasses import replace

from chaos.evidence import Evidence, Recording, Taken
from chaos.processes import Process
from chaos.repeats import Recovery, recoveries, repeats
from tests.chaos.evidence import FIRST, SECOND, evidence, execution, hit, moves


def sorted_out(given: Evidence) -> tuple[int, int, int]:
    found = repeats(given)
    return len(found.lost_workers), len(found.lost_settles), len(found.unexplained)


def test_a_step_that_ran_once_is_no_repetition() -> None:
    assert sorted_out(evidence()) == (0, 0, 0)


def test_the_runs_that_a_step_asked_for_are_no_repetitions() -> None:
    asked = [execution("insist", 11, 12, retries=0), execution("insist", 13, 14, retries=1)]

    assert sorted_out(evidence(executions=asked)) == (0, 0, 0)


def test_a_step_that_was_cut_short_by_a_fault_runs_again_for_that() -> None:
    again = [execution("mix-1", 11, None, FIRST), execution("mix-1", 16, 17, SECOND)]

    assert sorted_out(evidence(executions=again, hits=[hit(11.5, FIRST)])) == (1, 0, 0)


def test_a_step_that_was_held_by_a_fault_and_went_on_runs_again_for_that() -> None:
    again = [execution("mix-1", 11, 18, FIRST), execution("mix-1", 16, 17, SECOND)]

    assert sorted_out(evidence(executions=again, hits=[hit(11.5, FIRST)])) == (1, 0, 0)


def test_a_step_that_had_ended_when_its_worker_died_is_counted_apart() -> None:
    again = [execution("mix-1", 11, 11.1, FIRST), execution("mix-1", 16, 17, SECOND)]

    assert sorted_out(evidence(executions=again, hits=[hit(11.2, FIRST)])) == (0, 1, 0)


def test_the_fault_that_came_last_tells_why_a_step_runs_again() -> None:
    again = [execution("mix-1", 11, 11.1, FIRST), execution("mix-1", 16, 17, SECOND)]

    assert sorted_out(evidence(executions=again, hits=[hit(9, FIRST), hit(11.2, FIRST)])) == (0, 1, 0)
    assert sorted_out(evidence(executions=again, hits=[hit(9, FIRST)])) == (1, 0, 0)


def test_a_step_whose_process_was_not_seen_when_its_worker_was_killed_runs_again_for_that() -> None:
    worker = Process(300, 1)
    again = [replace(execution("mix-1", 11, None, FIRST), worker=worker), execution("mix-1", 16, 17, SECOND)]

    assert sorted_out(evidence(executions=again, hits=[hit(11.5, worker)])) == (1, 0, 0)


def test_a_repetition_after_a_fault_of_another_worker_is_unexplained() -> None:
    again = [execution("mix-1", 11, 11.1, FIRST), execution("mix-1", 16, 17, SECOND)]

    assert sorted_out(evidence(executions=again, hits=[hit(11.05, SECOND)])) == (0, 0, 1)


def test_a_recovery_lasts_from_the_fault_to_the_recorded_end_of_the_step() -> None:
    again = [execution("mix-1", 11, None, FIRST), execution("mix-1", 16, 17, SECOND)]
    told = moves((10, "SCHEDULED"), (11, "IN PROGRESS"), (17.5, "COMPLETED"))
    recorded = [Recording(1, "mix-1", 17.5, "Success")]

    taken = [Taken(1, "mix-1", 15.0)]
    given = evidence(executions=again, moves=told, recordings=recorded, taken=taken, hits=[hit(12.0, FIRST)])

    assert recoveries(given) == [Recovery(queued_after=3.0, recorded_after=5.5)]


def test_a_step_that_waited_for_people_tells_nothing_of_recovery() -> None:
    again = [execution("mix-1", 11, None, FIRST), execution("mix-1", 26, 27, SECOND)]
    recorded = [Recording(1, "mix-1", 27.5, "Success")]

    assert recoveries(evidence(executions=again, recordings=recorded, hits=[hit(12.0, FIRST)])) == []
