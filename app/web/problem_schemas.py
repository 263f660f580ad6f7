"""The shapes of answers that tell what is wrong."""

from __future__ import annotations

from typing import Literal

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


class Finding(BaseModel):
    """What is found before an operation goes on; what does not apply is null."""

    kind: Literal[
        "document_unusable", "task_gone", "call_misfits", "step_changed", "workflow_changed", "code_unknown",
        "code_outdated", "secret_missing", "store_missing", "result_missing", "no_worker",
    ]  # fmt: skip
    sentence: str
    blocks: bool = Field(description="Whether it is in the way, and does not only warn.")
    accept: Literal["code", "environment"] | None = Field(
        description="What a resume may say to go on in spite of it; one that blocks and has null lets nothing go on."
    )
    about: str | None = Field(description="The task, workflow, secret, store or queue that it is about.")
    step: str | None = Field(description="The first step that it concerns.")
    steps: int | None = Field(description="How many steps it concerns.")


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
    findings: list[Finding] = Field([], description="With `preflight-failed`: all that is in the way.")
    checks: dict[str, Check] = Field({}, description="With 503: how each part stands.")
