"""The canvases of `tests.behaviours` as a workflow."""

from __future__ import annotations

from app.workflows import Canvas, workflow
from tests.behaviours import BEHAVIOURS


@workflow("behaviour")
def behaviour(name: str, file: str) -> Canvas:
    """One canvas of the table."""
    canvas: Canvas = BEHAVIOURS[name].canvas(file)
    return canvas
