"""The canvases of `tests.behaviours` as a workflow."""

from __future__ import annotations

from pausable import Canvas, workflow
from tests.behaviours import BEHAVIOURS, LINEAGES


@workflow("behaviour")
def behaviour(name: str, file: str) -> Canvas:
    """One canvas of the table."""
    canvas: Canvas = BEHAVIOURS[name].canvas(file)
    return canvas


@workflow("lineage")
def lineage(name: str) -> Canvas:
    """One canvas whose tasks tell what they find in their requests."""
    canvas: Canvas = LINEAGES[name]()
    return canvas
