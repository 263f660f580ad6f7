"""What a workflow is written with: `@step` for a task, `@workflow` for the canvas, and Celery's own canvas.

The shipped workflows lie beside this file; those of others are found through the setting WORKFLOWS.
"""

from __future__ import annotations

from celery import chain, chord, group

from app.domain import signals, states, triggers
from app.domain.states import State
from app.handlers.base import Subject
from app.handlers.callbacks import callback_factory
from app.notifications.base import Notification
from app.results.gcs import GCSResult
from app.results.local import LocalResult
from app.results.s3 import S3Result
from app.secrets import Secret
from app.workflows.cursor import cursor
from app.workflows.flow import Flow
from app.workflows.registry import Canvas, NotifyAll, Workflow, Workflows, load_workflows, workflow
from app.workflows.step import step

__all__ = [
    "Canvas",
    "Flow",
    "GCSResult",
    "LocalResult",
    "Notification",
    "NotifyAll",
    "S3Result",
    "Secret",
    "State",
    "Subject",
    "Workflow",
    "Workflows",
    "callback_factory",
    "chain",
    "chord",
    "cursor",
    "group",
    "load_workflows",
    "signals",
    "states",
    "step",
    "triggers",
    "workflow",
]
