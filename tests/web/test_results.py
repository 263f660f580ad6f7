"""Results are to be had whole, whatever their size, by those who may see them, and nobody is told where they lie."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.calling import json_of

if TYPE_CHECKING:
    from tests.web.calling import Caller
    from tests.web.serving import Served

MANY = 300_000
LOOKALIKE = {"__result__": {"store": "/etc", "path": "hostname", "serializer": "text"}}


def completed(served: Served, who: Caller, workflow: str, **arguments: object) -> str:
    address = who.start(workflow, **arguments)
    while who.completion(address) != "COMPLETED":
        served.deliver()
    return address


@pytest.mark.parametrize("many", [3, MANY])
def test_a_result_is_given_whole_by_its_address(served: Served, bob: Caller, many: int) -> None:
    address = completed(served, bob, "repeats", many=many)

    for place in (f"{address}/result", f"{address}/steps/repeat/result"):
        answer = bob.get(place)
        assert (answer.status_code, answer.json) == (200, "x" * many)
        assert answer.content_type == "application/json"
        assert bob.get(place, If_None_Match=answer.headers["ETag"]).status_code == 304


def test_answers_show_where_to_have_a_large_result_and_not_where_it_lies(served: Served, bob: Caller) -> None:
    address = completed(served, bob, "repeats", many=MANY)

    shown, steps = bob.get(address), bob.get(f"{address}/steps")

    assert json_of(shown)["result"] == {"__result__": {"href": f"{address}/result"}}
    assert json_of(shown)["links"]["result"] == f"{address}/result"
    assert json_of(steps)["steps"][0]["result"] == {"__result__": {"href": f"{address}/steps/repeat/result"}}
    assert served.settings.results not in shown.text + steps.text


def test_the_list_of_a_group_is_given_with_all_its_parts_and_data_stays_data(served: Served, bob: Caller) -> None:
    address = completed(served, bob, "list-of-all", many=MANY)

    shown = json_of(bob.get(address))["result"]

    assert shown == [{"__result__": {"href": f"{address}/result"}}, "small", LOOKALIKE]
    assert bob.get(f"{address}/result").json == ["y" * MANY, "small", LOOKALIKE]
    assert bob.get(f"{address}/steps/give-2/result").json == LOOKALIKE


def test_there_is_no_result_before_there_is_one(served: Served, bob: Caller) -> None:
    address = bob.start("fails")

    for place, words in (("result", "only a COMPLETED one"), ("steps/fail/result", "is Pending: it has no result")):
        answer = bob.get(f"{address}/{place}")
        assert answer.status_code == 404
        assert words in json_of(answer)["detail"]
    assert bob.get(f"{address}/steps/nobody/result").status_code == 404


def test_nobody_else_is_given_a_result(served: Served, bob: Caller, eve: Caller, ada: Caller) -> None:
    address = completed(served, bob, "repeats", many=3)

    for place in (f"{address}/result", f"{address}/steps/repeat/result"):
        assert eve.get(place).status_code == 404
        assert ada.get(place).status_code == 200


def test_what_is_gone_is_told_without_its_path(served: Served, bob: Caller) -> None:
    address = completed(served, bob, "repeats", many=MANY)
    shutil.rmtree(Path(served.settings.results))

    answer = bob.get(f"{address}/result")

    assert answer.status_code == 503
    assert "cannot be read where it is kept" in json_of(answer)["detail"]
    assert served.settings.results not in answer.text


@pytest.mark.parametrize("slug", ["%00", "a%00b", "%ED%A0%80", "%FF", "x" * 5000, "%2e%2e"])
@pytest.mark.parametrize("what", ["log", "result"])
def test_a_step_of_any_name_may_be_asked_for(served: Served, bob: Caller, slug: str, what: str) -> None:
    address = bob.start("repeats", many=3)

    assert bob.get(f"{address}/steps/{slug}/{what}").status_code in (404, 422)
