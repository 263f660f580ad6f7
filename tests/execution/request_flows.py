"""Workflows whose steps tell what they find in their request."""

from __future__ import annotations

from typing import Any

from celery import Task, chain, group, shared_task

from pausable import Canvas, step, workflow

FIELDS = (
    "id", "parent_id", "root_id", "correlation_id", "group", "group_index", "headers", "stamps", "stamped_headers",
    "timelimit", "eta", "retries", "replaced_task_nesting",
)  # fmt: skip


@step(bind=True)
def told(self: Task[Any, Any], before: Any = None, name: str = "") -> dict[str, Any]:
    """What the step finds in its request, behind what all before it have found."""
    found = {field: self.request.get(field) for field in FIELDS} | {"tenant": self.request.get("tenant")}
    earlier = before if isinstance(before, list) else [before]
    return {name: found} | {key: value for one in earlier for key, value in (one or {}).items()}


@step(bind=True, soft_time_limit=50)
def told_in_time(self: Task[Any, Any]) -> Any:
    return self.request.timelimit


@step(bind=True, max_retries=3)
def told_again(self: Task[Any, Any], first: str | None = None) -> list[Any]:
    """The ids of two runs, and whether the second was told when it was due."""
    if self.request.retries == 0:
        raise self.retry(args=(self.request.id,), kwargs={}, countdown=0)
    return [[first, self.request.id], self.request.eta is not None]


@step(bind=True)
def gives_way(self: Task[Any, Any], before: Any, name: str) -> Any:
    """Be replaced by another call, once it is known who this was."""
    return self.replace(told.s(before, name=name) | told.s(name=f"end of {name}"))


@shared_task(name="tests.requests.sent")
def sent() -> None: ...


@workflow("requests")
def requests(kind: str) -> Canvas:
    """A canvas whose steps tell what they find in their requests."""
    canvas: Any = CANVASES[kind]()
    return canvas  # type: ignore[no-any-return]


def stamped() -> Any:
    canvas: Any = chain(told.s(name="a"), told.s(name="b"))
    canvas.stamp(tenant="blue")
    return canvas


CANVASES: dict[str, Any] = {
    "chain": lambda: told.s(name="a") | told.s(name="b") | told.si(name="c"),
    "line": lambda: told.s(name="a") | told.s(name="b") | told.s(name="c"),
    "group": lambda: told.s(name="a") | group(told.s(name="b"), told.s(name="c") | told.s(name="d")) | told.s(name="e"),
    "headers": lambda: told.s(name="a").set(headers={"tenant": "blue", "id": "mine"}) | told.s(name="b"),
    "stamps": stamped,
    "named": lambda: told.s(name="a").set(task_id="my-id") | told.s(name="b"),
    "limits": lambda: told.signature((), {"name": "a"}, options={"time_limit": 60, "soft_time_limit": 40}),
    "own limits": lambda: told_in_time.s(),
    "eta": lambda: told.s(name="a").set(countdown=0.01),
    "again": lambda: told_again.s(),
    "replaced": lambda: told.s(name="a") | gives_way.s(name="b") | told.s(name="c"),
}
