"""The shapes of edits, and of what is asked about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.web.schemas import Asked, NeverSaid, Reason


class EditQuery(Asked):
    """Why; the body is the patch alone."""

    reason: Annotated[Reason, NeverSaid()] = None


class Difference(BaseModel):
    """One place that an edit changed."""

    at: str = Field(examples=["steps.render.kwargs.currency"])
    old: Any = Field(description="What stood there; long values are cut.")
    new: Any


class Edit(BaseModel):
    """A change that a person made of what remains of a paused operation."""

    id: int
    at: datetime
    who: str
    why: str | None
    diff: list[Difference]
    undone_at: datetime | None
    undone_by: str | None


class EditPage(BaseModel):
    """Edits in the order they were made."""

    edits: list[Edit]
    next: str | None
