"""A notification that could not be sent is refused when it is made; one that can says what it knows of the change."""

from __future__ import annotations

from typing import Any

import pytest

from pausable.errors import AddressMalformed, ChangeUnknown, NotificationMalformed, TemplateMalformed
from pausable.model.states import Cancelled, Failed, Paused, Retrying, Running, Success, TriggerFailed
from pausable.notifications.base import fits
from pausable.notifications.notification import EXAMPLE, Notification
from pausable.secrets import Secret

TO = Secret("SLACK_URL")


@pytest.mark.parametrize("when", ["faild", "", (), ("failed", "Failed"), "is_failed", (3,)])
def test_a_word_that_no_state_knows_is_refused_and_the_right_ones_are_named(when: Any) -> None:
    with pytest.raises(ChangeUnknown, match="which is none of pending, scheduled, running"):
        Notification(when=when, to=TO)


@pytest.mark.parametrize(
    ("when", "state", "is_told"),
    [
        ("failed", Failed(), True),
        ("failed", TriggerFailed(), True),
        ("failed", Success(), False),
        ("finished", Success(), True),
        ("finished", Running(), False),
        (("retrying", "cancelled"), Retrying(), True),
        (("retrying", "cancelled"), Cancelled(), True),
        (("retrying", "cancelled"), Paused(), False),
    ],
)
def test_it_tells_of_the_states_that_its_words_fit(when: Any, state: Any, is_told: bool) -> None:
    assert fits(Notification(when, TO).words, state) is is_told


@pytest.mark.parametrize(
    "text",
    [
        "{stp}",
        "{}",
        "{0}",
        "{step.__class__}",
        "{message[0]}",
        "{step!r:{task.__init__}}",
        "{step:{task}}",
        "{attempt:9999999999}",
        "{message:.99999}",
        "{step",
        "step}",
        "{step!x}",
        "{step:d}",
    ],
)
def test_a_template_that_reaches_for_more_than_there_is_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(TemplateMalformed, match=r"a text may hold \{workflow\}, \{operation_id\}, \{step\}"):
        Notification("failed", TO, text)


@pytest.mark.parametrize(
    "to",
    ["", "nobody", "example.com/hook", "mailto:me@example.com", "http://", "https:// host/", "http://h/\nX: y", "://x"],
)
def test_what_is_no_url_is_refused_and_not_shown(to: str) -> None:
    with pytest.raises(AddressMalformed) as refused:
        Notification("failed", to)

    assert "example" not in str(refused.value)


def test_a_scheme_of_no_service_is_refused_by_its_name_alone() -> None:
    with pytest.raises(AddressMalformed) as refused:
        Notification("failed", "slak://token-a/token-b/token-c")

    assert "slak://" in str(refused.value)
    assert "token" not in str(refused.value)


def test_an_address_that_lacks_what_its_service_needs_is_refused() -> None:
    with pytest.raises(AddressMalformed, match="the slack:// address is incomplete"):
        Notification("failed", "slack://token-a")


@pytest.mark.parametrize("to", [None, 7, b"https://host/"])
def test_it_goes_to_a_url_or_a_secret_and_nothing_else(to: Any) -> None:
    with pytest.raises(NotificationMalformed, match="neither a Secret nor a URL"):
        Notification("failed", to)


def test_its_address_is_not_shown() -> None:
    assert "token" not in repr(Notification("failed", "https://host/token"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "clean of monthly-report 17: Failed (ZeroDivisionError: division by zero)"),
        ({"step": "", "message": ""}, "monthly-report 17: Failed"),
        (
            {"state": "Retrying", "start_time": "2026-01-31 23:59:59 UTC", "message": "busy"},
            "clean of monthly-report 17: Retrying (busy), again at 2026-01-31 23:59:59 UTC",
        ),
    ],
)
def test_without_a_text_it_says_what_stands_how_and_why(changed: dict[str, str], said: str) -> None:
    assert Notification("failed", TO).text_of({**EXAMPLE, **changed}) == said


def test_a_template_is_filled_in_and_braces_in_a_message_are_no_fields() -> None:
    text = (
        "{{{step}}} {operation_id:04} of {workflow!s:>15}: {old_state}->{state} {message} #{attempt} {at}{start_time}"
    )

    said = Notification("failed", TO, text).text_of({**EXAMPLE, "message": "{step.__class__} {"})

    assert said == ("{clean} 0017 of  monthly-report: Running->Failed {step.__class__} { #1 2026-01-31 23:59:59 UTC")
