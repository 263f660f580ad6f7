"""Operations are started by forms, which say beside each field what does not fit, and start one only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.operations import find_operation, list_operations
from pausable.db.users import list_users
from tests.execution.pausing import in_database
from tests.web.serving import serving
from tests.web.visiting import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pausable.db.operations import Operation
    from pausable.db.users import User
    from tests.conftest import NewDatabase
    from tests.web.serving import Served

FLOWS = "tests.web.console_flows"
EVERYTHING: dict[str, Any] = {
    "many": 3,
    "share": 0.5,
    "name": "ada",
    "day": "2030-01-31",
    "at": "2030-01-31T08:00:00Z",
    "colour": "blue",
    "words": ["one", "two words"],
    "size": {"width": 2, "height": 1},
    "mode": "slow",
    "is_loud": False,
    "top": None,
    "note": "so\nand so",
    "either": True,
    "numbers": [],
    "limits": {"b": 2},
}
TYPED: dict[str, str | None] = {
    "arg_many": "3",
    "arg_share": "0.5",
    "arg_name": "ada",
    "arg_day": "2030-01-31",
    "arg_at": "2030-01-31T08:00:00",
    "arg_colour": "blue",
    "arg_words": "one\r\ntwo words\r\n",
    "arg_size": '{"width": 2}',
    "arg_mode": "slow",
    "arg_is_loud": None,
    "arg_note": "so\r\nand so",
    "arg_either": "true",
    "arg_numbers": "",
    "arg_limits": '{"b": 2}',
}
SCRIPT = "</textarea><script>alert(1)</script>\"'><b>"


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, in_database(broker_url, 3), FLOWS, database_url=new_database(tmp_path)) as served:
        yield served


@pytest.fixture
def bob(served: Served) -> Visitor:
    return Visitor.signed_in(served, "bob")


def operations(served: Served) -> list[Operation]:
    with served.commands.engine.database.glance() as tx:
        found = list_operations(tx, requester_id=None, completions=(), workflow=None, before_id=None, limit=50)
        return [operation for one in found if (operation := find_operation(tx, one.id))]


def user_of(name: str, served: Served) -> User:
    with served.commands.engine.database.glance() as tx:
        return next(one for one in list_users(tx) if one.name == name)


def test_all_workflows_are_listed_with_what_they_say_of_themselves(bob: Visitor) -> None:
    page = bob.get("/console/start")

    assert "Ask for everything." in page.words
    assert 'href="/console/start/asks-everything"' in page.html
    assert "Say &lt;b&gt;words&lt;/b&gt;." in page.html


def test_what_is_typed_starts_an_operation_with_these_values(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/asks-everything").form("/asks-everything")

    started = bob.send(form, **TYPED)

    assert (started.status, started.place) == (303, "/console/operations/1")
    assert json.loads(operations(served)[0].arguments) == EVERYTHING


def test_a_form_that_is_sent_twice_starts_one_operation(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/says-words").form("/says-words")

    first, second = bob.send(form), bob.send(form)

    assert (first.place, second.place) == ("/console/operations/1", "/console/operations/1")
    assert len(operations(served)) == 1


def test_a_form_that_has_started_one_says_so_before_it_starts_another(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/says-words").form("/says-words")
    bob.send(form)

    again = bob.send(form, arg_words="others")

    assert again.status == 422
    assert "This form has started operation 1 with other arguments." in again.words
    assert len(operations(served)) == 1
    assert bob.send(again.form("/says-words")).place == "/console/operations/2"
    assert json.loads(operations(served)[0].arguments) == {"words": "others"}


def test_every_fault_is_told_beside_its_field_and_what_was_typed_is_kept(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/asks-everything").form("/asks-everything")

    wrong = bob.send(
        form, **TYPED | {"arg_many": "three", "arg_name": "A", "arg_words": "", "arg_size": "{", "arg_top": "1.5"}
    )

    assert wrong.status == 422
    assert "Nothing was started." in wrong.words
    for name, told in {
        "many": "This is no whole number, such as 12.",
        "name": "String should have at least 2 characters.",
        "words": "List should have at least 1 item after validation, not 0.",
        "size": "This is no JSON: EOF while parsing an object at line 1 column 1.",
        "top": "This is no whole number, such as 12.",
    }.items():
        assert f'<small id="arg-{name}-help"><b class="wrong">{told}</b>' in wrong.html
        assert f'href="#arg-{name}"' in wrong.html
    assert wrong.html.count('aria-invalid="true"') == 5
    assert 'value="three"' in wrong.html
    assert operations(served) == []
    mended = bob.send(wrong.form("/asks-everything"), **TYPED, arg_top="")
    assert mended.place == "/console/operations/1"


def test_a_fault_within_a_value_tells_where(bob: Visitor) -> None:
    form = bob.get("/console/start/asks-everything").form("/asks-everything")

    wrong = bob.send(form, **TYPED | {"arg_size": '{"width": "wide"}'})

    assert "At width: Input should be a valid integer, unable to parse string as an integer." in wrong.words


def test_what_the_author_s_code_refuses_is_told_above_the_form(bob: Visitor) -> None:
    refused = bob.send(bob.get("/console/start/cannot").form("/cannot"), arg_path=SCRIPT)

    assert refused.status == 422
    assert f"The workflow 'cannot' raised FileNotFoundError: no file {SCRIPT}" in refused.words
    assert ("arg-path", SCRIPT) in refused.form("/cannot").sends


def test_fields_say_what_they_take(bob: Visitor) -> None:
    page = bob.get("/console/start/asks-everything")

    assert 'id="arg-many" name="arg-many" aria-describedby="arg-many-help" required' in page.html
    assert 'min="1" max="9" step="1"' in page.html
    assert "How &lt;many&gt;. 1 to 9." in page.html
    assert 'minlength="2" maxlength="20" pattern="^[a-z]+$"' in page.html
    assert '<option value="quick" selected>' in page.html
    assert 'type="checkbox" role="switch" id="arg-is_loud" name="arg-is_loud" value="on" checked' in page.html
    assert ("arg-numbers", "3\r\n4") in page.form("/asks-everything").sends
    assert "This workflow has no parameters." in bob.get("/console/start/asks-nothing").words


def test_numbers_that_are_too_large_are_told_beside_their_fields(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/asks-everything").form("/asks-everything")
    large = "9" * 309

    refused = bob.send(form, **TYPED | {"arg_many": large, "arg_share": large, "arg_top": "1" * 401})

    assert refused.status == 422
    assert "Many : Input should be less than or equal to 9" in refused.words
    assert "Share : This number is too large" in refused.words
    assert "Top : This is no whole number" in refused.words
    assert ("arg-share", large) in refused.form("/asks-everything").sends
    for json_too in ('{"b": 1%s}' % ("0" * 5000), '{"b": 1e999}'):
        assert "This is no JSON" in bob.send(form, **TYPED | {"arg_limits": json_too}).words
    assert operations(served) == []


def test_a_whole_number_may_have_hundreds_of_digits_where_the_workflow_takes_it(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/asks-everything").form("/asks-everything")
    large = f"-{'9' * 399}"

    started = bob.send(form, **TYPED | {"arg_top": large, "arg_limits": f'{{"b": {large}}}'})

    assert bob.follow(started).status == 200
    assert json.loads(operations(served)[0].arguments)["top"] == int(large)
    again = bob.get(f"/console/start/asks-everything?from={operations(served)[0].id}").form("/asks-everything")
    assert ("arg-top", large) in again.sends


def test_starting_again_starts_with_the_same_arguments(served: Served, bob: Visitor) -> None:
    user = user_of("bob", served)
    for words in ("fine", "", "two\nlines", " spaces ", SCRIPT, "\r\x00\x1b", "ä€😀", "\n"):
        view, _ = served.commands.start(user, "says-words", {"words": words})
        link = f"/console/start/says-words?from={view.operation.id}"
        assert f'href="{link}"' in bob.get(f"/console/operations/{view.operation.id}").html

        again = bob.send(bob.get(link).form("/says-words"))

        assert again.place == f"/console/operations/{view.operation.id + 1}"
        assert json.loads(operations(served)[0].arguments) == {"words": words}


def test_a_form_that_is_too_large_is_a_page_that_says_so(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/says-words").form("/says-words")

    assert bob.send(form, arg_words="x" * 1_100_000).status == 413
    assert operations(served) == []


def test_the_arguments_of_others_fill_in_no_form(served: Served, bob: Visitor) -> None:
    bob.send(bob.get("/console/start/says-words").form("/says-words"), arg_words="bob's own")

    eve, ada = Visitor.signed_in(served, "eve"), Visitor.signed_in(served, "ada")

    assert eve.get("/console/start/says-words?from=1").status == 404
    assert ("arg-words", "bob's own") in ada.get("/console/start/says-words?from=1").form("/says-words").sends
    assert bob.get("/console/start/asks-nothing?from=1").status == 404
    assert bob.get("/console/start/says-words?from=x").status == 404


def test_a_workflow_that_there_is_not_is_a_page_that_says_so(bob: Visitor) -> None:
    assert bob.get("/console/start/no-such").status == 404


def test_an_operation_starts_later_where_that_is_asked_for(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/says-words").form("/says-words")

    for wrong, told in (("soon", "It is no date and time"), ("2020-01-01T00:00", "It is past already")):
        refused = bob.send(form, start_at=wrong)
        assert refused.status == 422
        assert told in refused.words
        assert ("start_at", wrong) in refused.form("/says-words").sends
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=9)
    bob.send(form, start_at=f"{at:%Y-%m-%dT%H:%M}")

    assert operations(served)[0].start_at == at.timestamp()


def test_without_its_hidden_token_a_form_starts_nothing(served: Served, bob: Visitor) -> None:
    form = bob.get("/console/start/says-words").form("/says-words")

    refused = bob.send(form, csrf_token="of another site")

    assert (refused.status, refused.place) == (303, "/console/start/says-words")
    assert "nothing was done" in bob.follow(refused).words
    assert operations(served) == []
