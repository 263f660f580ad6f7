"""The commands of `flask operations` that change operations or explain them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from pausable.model.bulk import Verb
from pausable.model.explanation import ACCEPTABLE, in_the_way
from pausable.model.states import ENDED, Completion
from pausable.service import explain as inspecting

from .bulks import Many, ask_many, of_one_or_many
from .input import Moment, acting, arguments_of, commands, operation_argument, user_option
from .output import advice, hint, say, standing
from .watch import until_rest, watch

if TYPE_CHECKING:
    from pausable.model.explanation import Finding
    from pausable.service.operations import HowToPause, View


@click.command("start")
@click.argument("workflow")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--arguments", "text", metavar="JSON", help="The arguments as a JSON object; KEY=VALUE adds to it.")
@click.option("--start-at", type=Moment(), metavar="TIME", help="Not before, as in 2027-01-31T20:00.")
@click.option("--watch", "is_watched", is_flag=True, help="Follow it until it rests.")
@user_option
def start(
    workflow: str,
    pairs: tuple[str, ...],
    text: str | None,
    start_at: float | None,
    is_watched: bool,
    user_name: str | None,
) -> None:
    """Start an operation of WORKFLOW.

    A value is read as JSON where the workflow asks for more than text; a list may be parted by commas:
    `start count-by path=people.csv by=company,gender chunks=20`.
    """
    schema = commands().workflows.get(workflow).schema()
    arguments = arguments_of(pairs, text, schema)
    user = acting(user_name)
    view, _ = commands().start(user, workflow, arguments, start_at=start_at)
    say(_accepted(view))
    if is_watched:
        watch(user, view.operation.id)
    hint(advice(view.operation))


@click.command("pause")
@of_one_or_many
@click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")
@click.option("--wait", "seconds", metavar="SECONDS", type=click.FloatRange(min=0), help="Wait so long for PAUSED.")
@click.option("--now", is_flag=True, help="Stop the steps that run: they run again when it is resumed.")
@click.option("--accept-unconfirmed", is_flag=True, help="Wait no longer for workers that fell silent.")
@click.option("--resume-at", type=Moment(), metavar="TIME", help="Until then, as in 2027-01-31T06:00+01:00.")
@user_option
def pause(
    operation_id: int,
    many: Many | None,
    reason: str | None,
    seconds: float | None,
    user_name: str | None,
    **how: Unpack[HowToPause],
) -> None:
    """Pause operation ID, or many.

    It is PAUSED once the steps that run have ended, or have stopped at their cursor.
    With --wait the exit status is 1 if that takes longer.
    """
    if many:
        if seconds is not None or how["now"] or how["accept_unconfirmed"]:
            raise click.UsageError("--wait, --now and --accept-unconfirmed are for one operation.")
        return ask_many(user_name, Verb.PAUSE, many, reason=reason, resume_at=how["resume_at"])
    user = acting(user_name)
    view, is_new = commands().pause(user, operation_id, reason=reason, **how)
    if seconds is not None:
        view = until_rest(user, operation_id, seconds)
    if seconds is not None and view.operation.completion is not Completion.PAUSED:
        raise click.ClickException(f"Not PAUSED after {seconds:g} s: {standing(view)}")
    return _tell(view, is_new or seconds is not None)


@click.command("resume")
@of_one_or_many
@click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")
@click.option("--accept-moved", is_flag=True, help="Take it back: it does not go on where it was moved to.")
@click.option(
    "--accept",
    type=click.Choice(ACCEPTABLE),
    multiple=True,
    help="Go on although the code is another, or secrets or stores are missing here; again for both.",
)
@user_option
def resume(
    operation_id: int,
    many: Many | None,
    reason: str | None,
    accept_moved: bool,
    accept: tuple[str, ...],
    user_name: str | None,
) -> None:
    """Let operation ID go on, or many.

    A pause that is still requested is withdrawn. What `preflight` finds in the way of a PAUSED one is told, and it
    stays PAUSED unless that is accepted.
    """
    if many and (accept_moved or accept):
        raise click.UsageError("What is accepted is for one operation.")
    if many:
        return ask_many(user_name, Verb.RESUME, many, reason=reason)
    user = acting(user_name)
    return _tell(*commands().resume(user, operation_id, reason=reason, take_back=accept_moved, accepted=accept))


@click.command("cancel")
@of_one_or_many
@click.option("--yes", "is_sure", is_flag=True, help="Of many: do not ask whether that is meant.")
@click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")
@user_option
def cancel(operation_id: int, many: Many | None, reason: str | None, user_name: str | None) -> None:
    """Cancel operation ID, or many.

    It is CANCELLED once the steps that run have ended. Before many are, it asks.
    """
    if many:
        return ask_many(user_name, Verb.CANCEL, many, reason=reason)
    return _tell(*commands().cancel(acting(user_name), operation_id, reason=reason))


@click.command("retry")
@operation_argument
@click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")
@click.option("--accept-moved", is_flag=True, help="Take it back: it is not retried where it was moved to.")
@user_option
def retry(operation_id: int, reason: str | None, accept_moved: bool, user_name: str | None) -> None:
    """Let operation ID go on from its failed steps.

    The operation must be FAILED; what ended well before them is not run again.
    """
    _tell(commands().retry(acting(user_name), operation_id, reason=reason, take_back=accept_moved), True)


@click.command("rebuild")
@operation_argument
@user_option
def rebuild(operation_id: int, user_name: str | None) -> None:
    """Write workflow.json of operation ID anew.

    The operation must be PAUSED; the document is made from the database.
    """
    view = commands().rebuild(acting(user_name), operation_id)
    say(f"Wrote {view.operation.workflow_store}.")
    hint(advice(view.operation))


def _accepted(view: View) -> str:
    if view.operation.completion is Completion.SCHEDULED and view.operation.due_at is None:
        return f"Operation {view.operation.id} is accepted and waits for a worker."
    return standing(view)


def _tell(view: View, is_new: bool) -> None:
    say(standing(view) if is_new else f"Nothing changed: {standing(view)}")
    hint(advice(view.operation))


@click.command("explain")
@operation_argument
@user_option
def explain(operation_id: int, user_name: str | None) -> None:
    """Tell why operation ID does not move.

    Each cause is a sentence; the one that a person can do most about comes first.
    """
    found = inspecting.explain(commands(), acting(user_name), operation_id)
    say(f"Operation {operation_id} is {found.completion}.")
    for sentence in [cause.sentence for cause in found.causes] or [found.summary]:
        say(f"- {sentence}")


@click.command("preflight")
@operation_argument
@user_option
def preflight(operation_id: int, user_name: str | None) -> None:
    """Tell what a resume of operation ID would find.

    Nothing is changed. The exit status is 1 when something is in the way.
    """
    completion, found = inspecting.preflight(commands(), acting(user_name), operation_id)
    for one in found:
        say(f"- {one.sentence}{_way(one)}")
    if blocking := in_the_way(found):
        raise click.ClickException(f"Operation {operation_id} would not be resumed: {len(blocking)} in the way.")
    if completion in ENDED:
        return hint(f"Operation {operation_id} is {completion}: nothing of it is left to be resumed.")
    return hint(f"Nothing is in the way of operation {operation_id}.")


def _way(one: Finding) -> str:
    """What can be done about it, in a few words."""
    if not one.blocks:
        return " (a warning)"
    return f" (--accept {one.accept} goes on all the same)" if one.accept else ""
