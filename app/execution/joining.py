"""Joining step calls by `|` at a cost that grows with the chain: Celery copies all links before for each new one.

What comes of it is a chain as Celery makes it; whatever is not a plain call behind plain calls is joined by Celery.
"""

from __future__ import annotations

from typing import Any, cast

from celery.canvas import Signature, _chain


class StepSignature(Signature[Any]):
    """The call of a step; `|` joins it to another call without copying either."""

    @classmethod
    def of(cls, call: Any) -> StepSignature:
        """Return the same call as a signature of this kind."""
        made: Any = cls(call, app=call._app)
        made._type = call._type
        return cast("StepSignature", made)

    def __or__(self, other: Any) -> Any:
        return _joined([self, other]) if _is_call(other) else super().__or__(other)


class _Calls(_chain):
    """A chain of plain calls; one that is joined to it makes a new chain, which shares the calls of this one."""

    def __or__(self, other: Any) -> Any:
        tasks = cast("Any", self).tasks
        is_plain = _is_call(other) and not self.options and all(map(_is_call, tasks[-1:]))
        return _joined([*tasks, other]) if is_plain else super().__or__(other)


def _joined(calls: list[Any]) -> Any:
    make: Any = _Calls
    return make(calls, app=calls[0]._app)


def _is_call(canvas: Any) -> bool:
    return isinstance(canvas, Signature) and canvas.subtask_type is None
