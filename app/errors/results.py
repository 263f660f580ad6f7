"""Errors of what keeps results outside the table: targets, stores, serializers."""

from __future__ import annotations


class ResultFault(Exception):
    """A result cannot be kept outside the table, or not be read there; each kind says why."""


class TargetOutside(ResultFault):
    """A target, once its fields were filled in, names no place inside its store."""

    def __init__(self, target: str, why: str) -> None:
        self.target = target
        super().__init__(f"The target {target!r} is refused: it {why}.")


class TargetMalformed(ResultFault):
    """A target's fields could not be filled in from the facts of the step and its arguments."""

    def __init__(self, template: str, why: str) -> None:
        self.template = template
        super().__init__(f"The target {template!r} cannot be filled in: {why}.")


class ResultUnreadable(ResultFault):
    """A result that should lie in a store cannot be read there, or is not what its serializer writes."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(f"The result at {place} cannot be read: {why}.")


class ResultUnwritable(ResultFault):
    """A result could not be written into its store."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(f"The result could not be written to {place}: {why}.")


class ResultUnfit(ResultFault):
    """A value is not of the kind that the serializer of its step can hold."""

    def __init__(self, serializer: str, why: str) -> None:
        self.serializer = serializer
        super().__init__(f"The serializer {serializer!r} cannot hold the result: {why}.")


class StoreUnknown(ResultFault):
    """No store of results is known by the scheme of this URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"There is no store of results for {url!r}: give a folder, s3://bucket/prefix, gs://bucket/prefix, "
            "or another URL that fsspec knows."
        )


class StorePackageMissing(ResultFault):
    """A store of results needs a package that is not installed."""

    def __init__(self, scheme: str, extra: str) -> None:
        self.scheme = scheme
        super().__init__(f"The store {scheme}:// needs a package that is not installed: pip install 'fsspec[{extra}]'.")
