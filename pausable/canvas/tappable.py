"""Insert pause points into a canvas; `pausable.canvas.pause` defines what happens at one."""

from __future__ import annotations

from copy import deepcopy
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from celery.canvas import Signature, chain, chord, maybe_signature, signature
from celery.utils.functional import maybe_list

from pausable.canvas.reader import as_plain, linked
from pausable.errors import NotACanvas, PauseIntervalInvalid, PauseSignatureInvalid
from pausable.model.identity import PAUSE_TASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from celery import Celery

    from pausable.canvas.pause import AnySignature

_CANVASES = ("chain", "group", "chord")
_CALLBACKS = frozenset({"link", "link_error"})
#: Options of a chord that apply to its header only, and callbacks; Celery passes all others to the body too.
_HEADER_OPTIONS = ("task_id", "parent_id", "countdown", "eta", "interval", "max_retries", *_CALLBACKS)
#: Options that Celery consumes when it runs a chain; it passes all others to the first link.
_CHAIN_OPTIONS = ("task_id", "parent_id", "root_id", "group_id", "group_index", "chord", *_CALLBACKS)


def tappable(canvas: AnySignature, clause: AnySignature, callback: AnySignature, nth: int = 1) -> Signature[Any]:
    """Return a new chain that does what `canvas` does and can be paused after every `nth` link except the last.

    Links are counted at the top level after flattening: nested chains are spliced, and a chord counts as its header and
    its body. Canvases inside a group are left as they are. Points placed by hand are kept, do not count as links and
    get no second point next to them; those without a clause or callback take the given ones, at any depth. A group
    alone is returned as a group: in a chain, Celery would return the result of a group of one without its list.
    `canvas` itself is not changed.

    Args:
        canvas: The signature to copy.
        clause: The signature of one task that decides whether to pause; see `pause_or_continue`.
        callback: The signature of one task that stores the remaining links; see `pause_or_continue`.
        nth: Number of links between two points; 0 keeps only the points placed by hand.

    Returns:
        The chain, or a group if `canvas` is a group.

    Raises:
        NotACanvas: `canvas` is not a signature.
        PauseIntervalInvalid: `nth` is not an integer of 0 or more.
        PauseSignatureInvalid: `clause` or `callback` is not the signature of one task.
    """
    if type(nth) is not int or nth < 0:
        raise PauseIntervalInvalid(nth)
    defaults = {"clause": _one_task("clause", clause), "callback": _one_task("callback", callback)}
    if not isinstance(canvas, dict):
        raise NotACanvas(canvas)
    copy = _copy(canvas, defaults)
    if copy.subtask_type == "group":
        return copy
    whole = copy if copy.subtask_type == "chain" else chain(copy, app=copy.app)
    links = [link for task in whole.kwargs["tasks"] for link in _links(task)]
    result = chain(app=whole.app, **whole.options)
    result.kwargs["tasks"] = _joined(list(_spaced(links, defaults, nth)))
    result["args"], result["immutable"] = whole.args, whole.immutable
    return result


def link_errbacks(canvas: AnySignature, errbacks: Sequence[dict[str, Any]], app: Celery[Any]) -> Signature[Any]:
    """Return a canvas that replaces a task, with the task's error callbacks linked as `celery.Task.replace` does.

    A final group becomes a chord, so that the error callbacks are called once for all of its members.

    Args:
        canvas: The replacement.
        errbacks: The error callbacks of the replaced task.
        app: The app that has `celery.accumulate`.
    """
    copy = _copy(canvas, {})
    if copy.subtask_type == "group" or (copy.subtask_type == "chain" and _ends_in_group(copy)):
        gathered = app.tasks["celery.accumulate"].s(index=0)
        tasks = copy.kwargs["tasks"] if copy.subtask_type == "chain" else [copy]
        copy = _chain_of([*tasks, gathered], copy)
    for errback in errbacks:
        copy.append_to_list_option("link_error", errback)
    return copy


def _ends_in_group(canvas: Signature[Any]) -> bool:
    tasks = canvas.kwargs["tasks"]
    return bool(tasks) and tasks[-1].subtask_type == "group"


def _chain_of(tasks: list[Signature[Any]], canvas: Signature[Any]) -> Signature[Any]:
    """Return a chain of these tasks in place of a canvas, with the settings of that canvas if it is a chain."""
    is_chain = canvas.subtask_type == "chain"
    made = chain(app=canvas.app, **(canvas.options if is_chain else {}))
    made.kwargs["tasks"] = tasks
    if is_chain:
        made["args"], made["immutable"] = canvas.args, canvas.immutable
    return made


def _one_task(role: str, given: object) -> dict[str, Any]:
    if not isinstance(given, dict) or "task" not in given or given.get("subtask_type") in _CANVASES:
        raise PauseSignatureInvalid(role, given)
    plain: dict[str, Any] = as_plain(given)
    return plain


def _copy(canvas: Any, defaults: dict[str, Any]) -> Signature[Any]:
    """Return a deep copy: `clone` shares the members of groups and drops the arguments of chains."""
    copy = canvas.clone() if isinstance(canvas, Signature) else signature(deepcopy(canvas))
    for name in _CALLBACKS & copy.options.keys():  # copies are plain dicts, which a group cannot be linked to
        copy.options[name] = [maybe_signature(one, app=copy.app) for one in linked(copy.options[name])]
    if _is_point(copy):
        own = {role: value for role, value in copy.kwargs.items() if value is not None}
        copy["kwargs"] = as_plain({**defaults, **own})
    if copy.subtask_type in _CANVASES:
        copy["args"], copy["immutable"] = canvas.get("args", ()), canvas.get("immutable", False)
        for part in copy.kwargs.keys() & {"tasks", "header"}:
            copy.kwargs[part] = [_copy(task, defaults) for task in copy.kwargs[part]]
        if copy.kwargs.get("body") is not None:
            copy.kwargs["body"] = _copy(copy.kwargs["body"], defaults)
    return copy


def _links(canvas: Any) -> list[Signature[Any]]:
    """Return the links of a copied canvas, left to right; a chord's header becomes a chord without a body."""
    if canvas.subtask_type == "chain":
        return [link for task in canvas.unchain_tasks() for link in _links(task)]
    if canvas.subtask_type == "chord" and _can_be_a_link(canvas.kwargs["body"]):
        return [canvas, *_body_links(canvas)]
    return [canvas]


def _can_be_a_link(body: Signature[Any] | None) -> bool:
    """Return whether a chord's body may become a link: in a chain, Celery returns a group of one without its list."""
    return body is not None and not (body.subtask_type == "group" and len(body.kwargs["tasks"]) == 1)


def _body_links(opened: Signature[Any]) -> list[Signature[Any]]:
    """Detach the body of a chord, with the options that Celery would pass to it when the chord runs."""
    body, opened.kwargs["body"] = opened.kwargs["body"], None
    body.options.update(_without(_HEADER_OPTIONS, opened.options))
    for callback in maybe_list(opened.options.pop("link", None)) or ():
        body.link(callback)
    for errback in maybe_list(opened.options.pop("link_error", None)) or ():
        body.link_error(errback) if body.subtask_type == "group" else body.append_to_list_option("link_error", errback)
    links = _links(body)
    if id_ := opened.options.pop("task_id", None):
        links[-1].options.setdefault("task_id", id_)
    if body.subtask_type == "chain":
        links[0].options.update(_without(_CHAIN_OPTIONS, body.options))
    return links


def _without(names: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _spaced(links: Sequence[Signature[Any]], defaults: dict[str, Any], nth: int) -> Iterator[Signature[Any]]:
    """Yield the links with a new point after every nth, except before the end and next to another point."""
    number = 0
    for link, following in zip_longest(links, links[1:]):
        yield link
        number += not _is_point(link)
        due = nth and number % nth == 0 and not _is_point(link)
        if due and following is not None and not _is_point(following):
            yield _point_before(following, defaults)


def _is_point(link: Signature[Any]) -> bool:
    return link.task == PAUSE_TASK


def _point_before(link: Signature[Any], defaults: dict[str, Any]) -> Signature[Any]:
    """Return a point with the error callbacks of the link behind it, as a group has whose chord gets it as its body."""
    point = signature(PAUSE_TASK, kwargs=as_plain(defaults), app=link.app)
    for errback in _errbacks(link):
        point.link_error(errback)
    return point


def _errbacks(link: Signature[Any]) -> Iterator[Any]:
    yield from deepcopy(maybe_list(link.options.get("link_error")) or [])
    for part in ("tasks", "header"):
        for member in link.kwargs.get(part, ()) if link.subtask_type in _CANVASES else ():
            yield from _errbacks(member)


def _joined(links: Sequence[Signature[Any]]) -> list[Signature[Any]]:
    """Return the tasks of a chain, built from right to left: each open header gets what follows as its body."""
    tasks: list[Signature[Any]] = []
    for link in reversed(links):
        if link.subtask_type == "chord" and link.kwargs["body"] is None and tasks:
            link.kwargs["body"], tasks = _as_body(tasks)
        tasks.insert(0, link)
    return tasks


def _as_body(tasks: list[Signature[Any]]) -> tuple[Signature[Any], list[Signature[Any]]]:
    """Return the body for a chord's header, and the tasks that remain to follow the chord.

    A group as the body would start what follows once per member, so it becomes a chord too.
    """
    first, rest = tasks[0], tasks[1:]
    if first.subtask_type == "group" and rest:
        body, rest = _as_body(rest)
        first = chord(first.kwargs["tasks"], body, app=first.app)
    return first, rest
