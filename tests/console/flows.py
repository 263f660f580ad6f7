"""Workflows for the tests of the console: one that stops where a test wants it to, one that fails, one that echoes."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from pausable import Canvas, group, step, workflow


@step
def fetch(month: str) -> dict[str, Any]:
    return {"month": month, "orders": 1_204}


@step
def audit(orders: dict[str, Any], gate: str) -> dict[str, Any]:
    """Wait until the gate, a file, is there."""
    until = time.monotonic() + 600
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.005)
    return orders


@step
def clean(orders: dict[str, Any]) -> dict[str, Any]:
    return orders


@step
def merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] | {"audited": True}


@step
def render(orders: dict[str, Any], currency: str) -> dict[str, Any]:
    return orders | {"total": f"48,160 {currency}"}


@step
def say(words: str) -> str:
    logging.getLogger("sayings").warning(words)
    return words


@step
def fail(words: str) -> None:
    raise LookupError(words)


@workflow("monthly-report")
def monthly_report(gate: str, month: str = "2026-10", currency: str = "EUR") -> Canvas:
    """Report on the orders of a month, once a file says that they may be audited."""
    return fetch.s(month) | group(clean.s(), audit.s(gate)) | merge.s() | render.s(currency)


@workflow("echo")
def echo(words: str) -> Canvas:
    """Say some words, and hand them on as the result."""
    return say.s(words) | say.s()


@workflow("import-orders")
def import_orders(words: str) -> Canvas:
    """Say some words, and fail with them."""
    return say.s(words) | fail.s() | render.s("EUR")
