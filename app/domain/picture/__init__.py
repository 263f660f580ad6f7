"""The picture of an operation: its steps as boxes in layers, in SVG, with no program beside this one."""

from app.domain.picture.drawing import MARKS, draw
from app.domain.picture.parts import Box, Drawn

__all__ = ["MARKS", "Box", "Drawn", "draw"]
