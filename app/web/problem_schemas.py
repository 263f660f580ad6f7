"""The shapes of answers that tell what is wrong."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.domain.states import Completion


class Check(BaseModel):
    """How one part stands."""

    ok: bool
    detail: str


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    place: str = Field(alias="in", description="body, query, header or path")
    field: str
    message: str


class Problem(BaseModel):
    """What went wrong: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    completion: Completion | None = Field(None, description="With 409: where the operation stands.")
    operation_id: int | None = Field(None, description="Which operation it is about.")
    version: int | None = Field(None, description="With 412: the version that the operation is at.")
    near: list[str] = Field([], description="With an unknown workflow: names that look like it.")
    errors: list[FieldFault] = Field([], description="With 422: every field that is wrong.")
    checks: dict[str, Check] = Field({}, description="With 503: how each part stands.")
