"""What a workflow is written with: `@step` for a task, `@workflow` for the canvas, and Celery's own canvas.

The shipped workflows lie beside this file; those of others are found through the setting WORKFLOWS.
"""

from __future__ import annotations

from celery import chain, chord, group

from app.workflows.registry import Canvas, Workflow, Workflows, load_workflows, workflow
from app.workflows.step import step

__all__ = ["Canvas", "Workflow", "Workflows", "chain", "chord", "group", "load_workflows", "step", "workflow"]
