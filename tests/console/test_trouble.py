"""What people see when something is in the way: a session is over, the service is gone, somebody else was faster."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from playwright.sync_api import Error, expect

from pausable.model.states import Completion
from tests.console.acting import badge, begin, button, row, show, sign_in
from tests.console.judging import judge
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from tests.console.conftest import Open
    from tests.console.installation import Installation, Person
    from tests.console.witness import Witness

#: Counts in `answers` what has become of the page's own questions for itself.
COUNT_ANSWERS = """() => {
    const real = window.fetch;
    window.answers = 0;
    window.fetch = (url, options) => {
        const answer = real(url, options);
        if (url === location.href) answer.catch(() => {}).finally(() => { window.answers += 1 });
        return answer;
    } }"""
#: Notes in `said` the name of each message of the stream, from now on.
NOTE_MESSAGES = """() => {
    window.said = [];
    const note = event => window.said.push(event.detail.message.event);
    document.getElementById("stream").addEventListener("htmx:sse:before:message", note) }"""

#: Sets the milliseconds of silence after which the page treats its connection as lost.
SET_SILENCE = "one => { document.getElementById('stream').dataset.silence = one }"


def test_a_token_that_is_unknown_is_refused_in_words(page: Page, witness: Witness) -> None:
    witness.statuses = {401}
    page.goto("/console/")

    page.get_by_label("Token").fill("the-token-of-nobody-at-all")
    button(page, "Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("unknown or was revoked")


def test_who_is_not_signed_in_comes_back_to_what_they_wanted(
    page: Page, installation: Installation, person: Person
) -> None:
    operation_id, gate = installation.start_at_gate(person)

    show(page, operation_id)
    sign_in(page, person)

    expect(badge(page)).to_have_text("IN PROGRESS")
    expect(page).to_have_title(re.compile(f"^monthly-report {operation_id}: IN PROGRESS"))
    gate.touch()


def test_a_page_whose_session_ends_leads_to_where_one_signs_in_and_back(
    page: Page, installation: Installation, person: Person, witness: Witness
) -> None:
    witness.statuses = {401}
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    show(page, operation_id)
    wanted = page.url

    installation.revoke(person)

    expect(page.get_by_text("Your session has expired")).to_be_visible()
    sign_in(page, installation.let_in_again(person))
    expect(page).to_have_url(wanted)
    expect(badge(page)).to_have_text("IN PROGRESS")
    gate.touch()


def test_a_page_never_shows_one_person_s_name_over_what_another_sees(
    page: Page, installation: Installation, person: Person, witness: Witness
) -> None:
    witness.statuses = {503}
    page.route("**/stream*", lambda route: route.fulfill(status=503, body="no streams here"))  # it asks and asks
    begin(page, person)
    page.goto("/console/workers")
    expect(page.locator(".who")).to_contain_text(person.user.name)
    other, somebody = page.context.new_page(), installation.invite("somebody")

    other.goto("/console/sign-in")
    sign_in(other, somebody)

    expect(page.locator(".who")).to_contain_text(somebody.user.name)


def test_what_is_asked_for_in_a_session_that_is_over_is_not_done(
    open_context: Open, installation: Installation, person: Person
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    show(page, operation_id)
    installation.revoke(person)

    button(page, "Pause").click()

    expect(page.get_by_text("your last action was not carried out")).to_be_visible()
    assert installation.commands.show(person.user, operation_id).operation.completion is Completion.IN_PROGRESS
    gate.touch()


def test_a_move_that_is_no_longer_allowed_says_why_and_shows_how_things_stand(
    open_context: Open, installation: Installation, person: Person
) -> None:
    page = open_context(java_script_enabled=False).new_page()  # a page that is not kept current
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    show(page, operation_id)
    gate.touch()
    installation.wait_until(person, operation_id, Completion.COMPLETED)

    button(page, "Pause").click()

    expect(page.get_by_role("alert").first).to_contain_text("Nothing was done.")
    expect(badge(page)).to_have_text("COMPLETED")
    expect(button(page, "Pause")).to_have_count(0)


def test_of_a_selection_each_that_refuses_is_told(
    open_context: Open, installation: Installation, person: Person
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    first, gate = installation.start_at_gate(person)
    second, other = installation.start_at_gate(person)
    begin(page, person)
    gate.touch()
    installation.wait_until(person, first, Completion.COMPLETED)

    for operation_id in (first, second):
        page.get_by_label(f"Select operation {operation_id}").check()
    page.locator(".selection").get_by_role("button", name="Pause").click()

    expect(page.get_by_text("1 operation was asked to pause.")).to_be_visible()
    expect(page.get_by_text("1 operation was skipped: COMPLETED operations cannot do that.")).to_be_visible()
    expect(row(page, second)).to_contain_text("REQUESTING PAUSE")
    other.touch()


def test_a_page_of_somebody_else_is_not_there(page: Page, installation: Installation, witness: Witness) -> None:
    witness.statuses = {404}
    theirs = installation.start(installation.invite("Bob"), "echo", words="x")
    begin(page, installation.invite("Eve"))

    show(page, theirs)

    expect(page.get_by_role("heading", level=1)).not_to_contain_text("echo")
    expect(page.get_by_role("link", name="Back to the operations")).to_be_visible()


def test_a_lost_connection_is_told_until_it_is_back_and_the_page_is_current_then(
    page: Page, installation: Installation, person: Person, witness: Witness, pictures: Path
) -> None:
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    listed = page.context.new_page()
    listed.goto("/console/operations")
    show(page, operation_id)
    lost = "The connection is lost."
    expect(page.get_by_text(lost)).to_be_hidden()

    witness.lost = True
    installation.stop_web()
    expect(page.get_by_text(lost)).to_be_visible()
    expect(listed.get_by_text(lost)).to_be_visible()
    expect(button(page, "Pause")).to_be_disabled()
    expect(row(listed, operation_id).get_by_role("button").first).to_be_disabled()
    judge(page, pictures, "lost connection")
    gate.touch()
    installation.wait_until(person, operation_id, Completion.COMPLETED)
    installation.start_web()

    expect(page.get_by_text(lost)).to_be_hidden()
    expect(badge(page)).to_have_text("COMPLETED")
    expect(listed.get_by_text(lost)).to_be_hidden()
    expect(row(listed, operation_id)).to_contain_text("COMPLETED")


def test_a_question_that_fails_after_the_stream_is_back_says_nothing(
    page: Page, installation: Installation, person: Person, witness: Witness
) -> None:
    held: list[Route] = []
    begin(page, person)
    page.route(page.url, lambda route: held.append(route))
    page.evaluate(COUNT_ANSWERS)

    witness.lost = True
    installation.stop_web()
    wait_for(lambda: bool(page.evaluate("true") and held))
    page.evaluate(NOTE_MESSAGES)
    installation.start_web()
    page.wait_for_function("() => window.said.length")
    with suppress(Error):  # the page may have left off asking
        held[0].abort("connectionreset")
    page.wait_for_function("() => window.answers")
    page.evaluate("() => new Promise(after => setTimeout(after))")

    assert page.get_by_text("The connection is lost.").is_hidden()


def test_a_connection_that_dies_without_a_word_is_told_until_the_stream_speaks_again(
    page: Page, installation: Installation, person: Person, witness: Witness
) -> None:
    operation_id = installation.start(person, "echo", words="x")
    installation.wait_until(person, operation_id, Completion.COMPLETED)
    begin(page, person)
    show(page, operation_id)
    lost = page.get_by_text("The connection is lost.")
    page.wait_for_function("() => document.getElementById('stream')._htmx?.sse?.lastEventId")  # the stream has spoken

    witness.lost = True
    with installation.web_frozen():
        page.evaluate(SET_SILENCE, 500)
        expect(lost).to_be_visible()
        page.evaluate(SET_SILENCE, 60_000)
        page.evaluate(NOTE_MESSAGES)

    page.wait_for_function("() => window.said.includes('beat')")  # nothing else is new
    expect(lost).to_be_hidden()


def test_while_the_server_is_silent_no_button_can_be_pressed(
    page: Page, installation: Installation, person: Person, witness: Witness
) -> None:
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    show(page, operation_id)
    page.wait_for_function("() => document.getElementById('stream')._htmx?.sse?.lastEventId")
    expect(button(page, "Pause")).to_be_enabled()

    witness.lost = True
    with installation.web_frozen():  # every connection stays open, and no request fails
        page.evaluate(SET_SILENCE, 500)
        expect(button(page, "Pause")).to_be_disabled()
        expect(page.get_by_text("The connection is lost.")).to_be_visible()
        page.evaluate(SET_SILENCE, 60_000)

    expect(button(page, "Pause")).to_be_enabled()
    expect(page.get_by_text("The connection is lost.")).to_be_hidden()
    gate.touch()


def test_what_workers_take_comes_to_their_page_by_a_stream(
    page: Page, installation: Installation, person: Person
) -> None:
    asked: list[str] = []
    begin(page, person)
    page.goto("/console/workers")
    page.on("request", lambda request: asked.append(request.url))

    operation_id, gate = installation.start_at_gate(person)

    expect(page.get_by_role("link", name=f"{operation_id} / ")).to_be_visible()
    assert page.url not in asked
    gate.touch()


def test_where_no_stream_comes_through_the_page_asks_again_and_again(
    page: Page, installation: Installation, person: Person, witness: Witness
) -> None:
    witness.statuses = {503}
    page.context.route("**/stream*", lambda route: route.fulfill(status=503, body="no streams here"))
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    show(page, operation_id)

    gate.touch()

    expect(badge(page)).to_have_text("COMPLETED")
    expect(page.get_by_text("The connection is lost.")).to_be_hidden()


def test_a_page_moves_by_itself_however_late_its_scripts_come(
    page: Page, installation: Installation, person: Person
) -> None:
    held: list[Route] = []
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    page.context.route("**/hx-sse.min.js*", lambda route: held.append(route))

    page.goto(f"/console/operations/{operation_id}", wait_until="commit")
    page.wait_for_function("() => window.htmx")
    page.evaluate("() => new Promise(after => setTimeout(() => setTimeout(after)))")  # what is due at once is done
    wait_for(lambda: bool(page.evaluate("true") and held))
    held[0].continue_()
    gate.touch()

    expect(badge(page)).to_have_text("COMPLETED")
