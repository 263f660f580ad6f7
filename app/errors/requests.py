"""Errors about requests that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BodyMalformed(Exception):
    """The body of a request is not the JSON that is expected."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The body cannot be read as JSON: {why}.")


class RequestInvalid(Exception):
    """A request is well-formed but wrong; `faults` tells where (`in`), which `field`, and a `message` for each."""

    def __init__(self, faults: Sequence[Mapping[str, str]]) -> None:
        self.faults = [dict(fault) for fault in faults]
        fields = "; ".join(f"{fault['field'] or fault['in']}: {fault['message']}" for fault in faults)
        super().__init__(f"The request cannot be used: {fields}.")
