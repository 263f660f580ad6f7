"""Errors about requests that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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


class TooManyWatchers(Exception):
    """As many streams are open as this server has room for; in `retry_after` seconds there may be room again."""

    retry_after: Final = 5

    def __init__(self) -> None:
        super().__init__(
            "As many streams are open as this server has room for: try again in a few seconds, or ask for JSON."
        )


class ServiceBusy(Exception):
    """No request has ended within the time that this one waited for its turn; try again in `retry_after` seconds."""

    retry_after: Final = 5

    def __init__(self) -> None:
        super().__init__("The service is busy: as many requests as it answers at a time are waiting. Try again.")


class MomentMalformed(ValueError):
    """A text is no moment as ISO 8601 writes it, with an offset from UTC."""

    def __init__(self) -> None:
        super().__init__("a date and time is expected as in 2027-01-31T20:00:00+01:00, with its offset from UTC, or Z")


class MomentTooFar(ValueError):
    """A moment lies too far ahead."""

    def __init__(self) -> None:
        super().__init__("it lies more than ten years ahead")
