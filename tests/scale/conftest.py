"""Services without a worker, on databases of their own, as the tests of the engine have them."""

from __future__ import annotations

from tests.execution.conftest import by_hand

__all__ = ["by_hand"]
