"""The commands of `flask operations` that only look."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pausable import clock
from pausable.model.states import Completion
from pausable.results.references import LARGE, shown

from .input import acting, commands, names, operation_argument, user_option
from .output import Column, count, duration, failure, far, hint, holder, lasted, moment, say, table, within
from .watch import watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.operations import Operation, OperationSummary
    from pausable.db.steps import ShownStep
    from pausable.service.operations import View

#: Lines of a result that `show` prints.
_LINES: Final = 20
_OPERATIONS: Final = (
    Column("id", right=True),
    Column("workflow", keep=5, cut=True),
    Column("completion"),
    Column("progress", keep=4),
    Column("requester", keep=2),
    Column("created", keep=3),
    Column("duration", keep=1, right=True),
    Column("due", keep=4),
)
_STEPS: Final = (
    Column("number", keep=1, right=True),
    Column("step", cut=True),
    Column("state"),
    Column("done", keep=6, right=True),
    Column("attempts", keep=2, right=True),
    Column("started", keep=3),
    Column("duration", keep=4, right=True),
    Column("message", keep=5, cut=True),
)
_EVENTS: Final = (
    Column("id", keep=1, right=True),
    Column("when", keep=5),
    Column("who", keep=4, cut=True, least=8),
    Column("what", cut=True, least=10),
    Column("from", keep=2),
    Column("to"),
    Column("why", keep=3, cut=True, least=16),
)
_limit = click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")


class CompletionType(click.ParamType[Completion]):
    """A completion, in any case, its words parted by spaces, `-` or `_`."""

    name = "completion"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Completion:
        """The completion that was meant; any other word is a misuse."""
        try:
            return Completion(value.upper().replace("-", " ").replace("_", " "))
        except ValueError:
            known = ", ".join(one.lower().replace(" ", "-") for one in Completion)
            return self.fail(f"{value!r} is none of {known}.", param, ctx)


@click.command("list")
@click.option("--completion", "completions", type=CompletionType(), multiple=True, help="Only those that stand so.")
@click.option("--workflow", metavar="NAME", help="Only those of this workflow.")
@_limit
@click.option("--after", metavar="ID", type=click.IntRange(1, 2**63 - 1), help="Only those that follow it in the list.")
@user_option
def list_(
    completions: tuple[Completion, ...], workflow: str | None, limit: int, after: int | None, user_name: str | None
) -> None:
    """List operations, the newest first."""
    user = acting(user_name)
    found = commands().list(user, completions=completions, workflow=workflow, before_id=after, limit=limit + 1)
    called = names()
    table(_OPERATIONS, [_operation_row(one, called) for one in found[:limit]])
    if len(found) > limit:
        hint(f"There are more: --after {found[limit - 1].id}")


@click.command("show")
@operation_argument
@click.option("--result", "is_result", is_flag=True, help="Print its result alone, whole, as JSON.")
@user_option
def show(operation_id: int, is_result: bool, user_name: str | None) -> None:
    """Show operation ID.

    It tells where the operation stands, what of it runs, and its result or error.
    """
    if is_result:
        return _say_whole(commands().result(acting(user_name), operation_id)[1])
    view = commands().show(acting(user_name), operation_id)
    for title, value in _facts(view):
        if value:
            say(f"{title}{value}" if value.startswith("\n") else f"{title:<11}{value}")
    return None


@click.command("watch")
@operation_argument
@user_option
def watch_(operation_id: int, user_name: str | None) -> None:
    """Follow operation ID until it rests.

    It rests when it has ended or is PAUSED. Ctrl-C stops the watching alone: the operation goes on. The exit status
    is 0 when it is COMPLETED, 1 when FAILED or CANCELLED, 3 when PAUSED.
    """
    watch(acting(user_name), operation_id)


@click.command("steps")
@operation_argument
@_limit
@click.option("--after", metavar="NUMBER", type=click.IntRange(-1), default=-1, help="Only those behind this number.")
@user_option
def steps(operation_id: int, limit: int, after: int, user_name: str | None) -> None:
    """List the steps of operation ID.

    Each stands behind those that it waits for.
    """
    found = commands().steps(acting(user_name), operation_id, after=after, limit=limit + 1, has_results=False)
    table(_STEPS, [_step_row(one) for one in found[:limit]])
    if len(found) > limit:
        hint(f"There are more: --after {found[limit - 1].number}")


@click.command("log")
@operation_argument
@click.argument("slug")
@user_option
def log(operation_id: int, slug: str, user_name: str | None) -> None:
    """Print what the code of step SLUG of operation ID has logged.

    Each run of it is headed by a line with its number and time.
    """
    for lines in commands().step_log(acting(user_name), operation_id, slug):
        say(lines.removesuffix("\n"))


@click.command("events")
@operation_argument
@_limit
@click.option("--after", metavar="EVENT", type=click.IntRange(0), default=0, help="Only those behind this one.")
@user_option
def events(operation_id: int, limit: int, after: int, user_name: str | None) -> None:
    """List the history of operation ID.

    It tells who moved it or a step of it, when, from where to where, and why.
    """
    found = commands().events(acting(user_name), operation_id, after=after, limit=limit + 1)
    rows = [(one.id, moment(one.at), one.who, one.step or "operation", one.old, one.new, one.why) for one in found]
    table(_EVENTS, rows[:limit])
    if len(found) > limit:
        hint(f"There are more: --after {found[limit - 1].id}")


@click.command("graph")
@operation_argument
@click.option("-o", "--output", type=click.Path(dir_okay=False, writable=True), help="Write it into this file.")
@user_option
def graph(operation_id: int, output: str | None, user_name: str | None) -> None:
    """Draw the steps of operation ID as SVG.

    Each state is shown by a colour and a mark, and what repeats itself is folded.
    """
    picture = commands().graph(acting(user_name), operation_id)
    if output is None:
        return say(picture.removesuffix("\n"))
    Path(output).write_text(picture, encoding="utf-8")
    return hint(f"{output} written")


@click.command("workflows")
def workflows() -> None:
    """List the workflows there are.

    Of their parameters, those in brackets may be left out.
    """
    rows = []
    for one in commands().workflows:
        schema = one.schema()
        needed = schema.get("required", [])
        parameters = [name if name in needed else f"[{name}]" for name in schema["properties"]]
        rows.append((one.name, " ".join(parameters), one.summary))
    table((Column("workflow"), Column("parameters", keep=2, cut=True), Column("what it does", keep=1, cut=True)), rows)


def _operation_row(one: OperationSummary, called: dict[int, str]) -> tuple[object, ...]:
    requester = called.get(one.requester_id)
    when = moment(one.created_at), duration(lasted(one))
    return one.id, one.workflow, one.completion, count(one), requester, *when, moment(one.due_at)


def _step_row(one: ShownStep) -> tuple[object, ...]:
    took = None if one.started_at is None else (one.finished_at or clock.now()) - one.started_at
    error = json.loads(one.error) if one.error else {}
    fault = ": ".join(error[part] for part in ("type", "message") if error.get(part))
    told = one.number, one.slug, one.state, within(one.done, one.total), one.runs
    return *told, moment(one.started_at), duration(took), fault or one.message or ""


def _facts(view: View) -> Iterator[tuple[str, str]]:
    operation = view.operation
    yield "operation", str(operation.id)
    yield "workflow", operation.workflow
    yield "completion", operation.completion
    yield "reason", operation.reason or ""
    yield "progress", far(operation)
    for step in view.in_flight:
        yield "running", holder(step)
    yield "requester", names().get(operation.requester_id, "")
    yield "created", moment(operation.created_at)
    yield "start at", moment(operation.start_at)
    yield "resume at", moment(operation.resume_at)
    yield "started", moment(operation.started_at)
    yield "finished", moment(operation.finished_at)
    yield "duration", duration(lasted(operation))
    yield "arguments", json.dumps(json.loads(operation.arguments), ensure_ascii=False)
    yield "document", operation.workflow_store or ""
    yield from _ending(operation)


def _ending(operation: Operation) -> Iterator[tuple[str, str]]:
    if fault := failure(operation):
        yield "failed in", fault.get("step") or "a state handler of the operation"
        yield "error", f"{fault['type']}: {fault['message']}"
        yield "traceback", f"\n{fault['traceback'].rstrip()}" if fault.get("traceback") else ""
    elif operation.completion is Completion.COMPLETED:
        place = f"flask operations show {operation.id} --result"
        text = shown(operation.result or "null", place, is_of_parts=operation.outcome.startswith("["))
        lines = _laid_out(text).splitlines()
        more = [f"... {len(lines) - _LINES} more lines: --result prints all"] if len(lines) > _LINES else []
        yield "result", "\n".join(["", *lines[:_LINES], *more] if len(lines) > 1 else lines)


def _say_whole(parts: Iterator[bytes]) -> None:
    """Print a result: one that is small laid out for people, and any other as it is, a part at a time."""
    begin = b""
    for part in parts:
        begin += part
        if len(begin) > LARGE:
            break
    else:
        return say(_laid_out(begin.decode()))
    for part in chain([begin], parts):
        click.echo(part, nl=False)
    return click.echo()


def _laid_out(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
