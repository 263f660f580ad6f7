"""Values as the table keeps them: JSON, with the types that Celery's messages know."""

from __future__ import annotations

import math
from typing import Any

from kombu.utils import json


def encode(value: Any) -> str:
    """`value` as JSON, with the types that Celery's messages know; raises TypeError or ValueError for any other."""
    text: str = json.dumps(value, separators=(",", ":"))
    if "NaN" in text or "Infinity" in text:
        _refuse_not_a_number(value)
    return text


def decode(text: str | None) -> Any:
    """The value that `encode` wrote."""
    return None if text is None else json.loads(text)


def fault_in(value: Any, within: tuple[int, ...] = ()) -> str:
    """Where in a value that `encode` refuses the refused part stands, such as `["rows"][3]`; nothing for the whole.

    Of one that holds itself that is where it is met again; `within` are the ids of what it stands in.
    """
    if id(value) in within:
        return ""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in parts:
        try:
            encode(part)
        except RecursionError:
            return ""
        except Exception:  # a value may bring code of its own that makes JSON of it
            return f"[{_quoted(key)}]{fault_in(part, (*within, id(value)))}"
    return ""


def _quoted(key: Any) -> str:
    return str(json.dumps(key)) if isinstance(key, str) else repr(key)


def _refuse_not_a_number(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        _refuse_not_a_number(part)
