"""Workflows whose steps are given options that nobody can honour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Task, shared_task

from pausable import Canvas, step, workflow
from tests.execution.flows import same


@workflow("optioned")
def optioned(options: dict[str, Any]) -> Canvas:
    """A step with these options behind another."""
    canvas: Canvas = same.s(1) | same.s().set(**options)
    return canvas


@step(bind=True)
def replaced_by(self: Task[Any, Any], _value: Any, options: dict[str, Any]) -> Any:
    return self.replace(same.s(2).set(**options))


@workflow("optioned-later")
def optioned_later(options: dict[str, Any]) -> Canvas:
    """A step that puts one with these options in its place."""
    canvas: Canvas = same.s(1) | replaced_by.s(options)
    return canvas


@step(bind=True)
def retried_with(self: Task[Any, Any], _value: Any, options: dict[str, Any]) -> Any:
    raise self.retry(**options)


@workflow("optioned-retry")
def optioned_retry(options: dict[str, Any]) -> Canvas:
    """A step that is retried with these options."""
    canvas: Canvas = same.s(1) | retried_with.s(options)
    return canvas


@workflow("in-an-hour")
def in_an_hour() -> Canvas:
    """A step that starts in an hour, by a text without a zone, as Celery's own are in UTC."""
    eta: Any = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None).isoformat()
    canvas: Canvas = same.s(1).set(eta=eta)
    return canvas


@shared_task(time_limit="soon")  # type: ignore[call-overload]
def limited_by_text() -> None: ...


@workflow("limited-by-text")
def limited_by_text_alone() -> Canvas:
    """A task whose author gave it a time limit that is none."""
    canvas: Canvas = limited_by_text.si()
    return canvas
